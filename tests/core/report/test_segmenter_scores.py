"""Summary and differences of segmenters, against the textbook."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy import stats

from strokereg.core.evaluate.metrics import CaseMetrics
from strokereg.core.report.segmenter_scores import (
    SegmenterEvaluation,
    SegmenterScores,
    summarise_segmenters,
    write_scores,
)
from strokereg.core.report.statistics import holm


def scored(name: str, dice, hd95=None) -> SegmenterScores:
    cases = {
        f"sub-{number:02}": CaseMetrics(
            dice=value, lesion_f1=value, volume_difference_ml=1 - value, count_difference=0, surface_dice=value,
            hd95_mm=None if number == hd95 else 5.0, volume_ml=1.0 + number, predicted_ml=1.0 + number * value,
        )
        for number, value in enumerate(dice)
    }  # fmt: skip
    return SegmenterScores(name=name, kind="masks", source=f"/data/{name}", cases=cases)


@pytest.fixture
def three():
    rng = np.random.default_rng(0)
    first = rng.uniform(0.4, 0.8, 30)
    better, same = first + rng.normal(0.05, 0.05, 30), first + rng.normal(0, 0.05, 30)
    return [scored("first", first), scored("better", better, hd95=3), scored("same", same)]


def test_means_with_intervals_by_size_of_the_lesion(three):
    filled, _ = summarise_segmenters(three)
    strata = filled[1].strata
    assert {name: strata[name]["dice"].cases for name in strata} == {"all": 30, "< 5 ml": 4, "≥ 5 ml": 26}
    dice = np.array([found.dice for found in three[1].cases.values()])
    measured = strata["all"]["dice"]
    half = 1.96 * dice.std() / np.sqrt(30)
    assert (measured.mean, measured.median) == (pytest.approx(dice.mean()), pytest.approx(np.median(dice)))
    assert (measured.low, measured.high) == pytest.approx((dice.mean() - half, dice.mean() + half), abs=0.01)
    assert strata["all"]["hd95_mm"].cases == 29  # one has no distance
    assert strata["< 5 ml"]["dice"].low is None  # of four cases


def test_paired_differences_with_wilcoxon_and_holm(three):
    _, differences = summarise_segmenters(three)
    assert [(one.name, one.baseline) for one in differences] == [("better", "first"), ("same", "first")]
    dice = [np.array([found.dice for found in one.cases.values()]) for one in three]
    p_values = [float(stats.wilcoxon(other - dice[0]).pvalue) for other in dice[1:]]
    found = [one.metrics["dice"] for one in differences]
    assert [one.p for one in found] == pytest.approx(p_values, rel=1e-6)
    assert [one.adjusted_p for one in found] == pytest.approx(holm(p_values), rel=1e-6)
    assert found[0].difference == pytest.approx((dice[1] - dice[0]).mean())
    assert found[0].above_zero
    assert not found[1].above_zero
    assert differences[0].metrics["hd95_mm"].cases == 29
    assert differences[0].metrics["lesion_f1"].p is None  # only Dice is tested


def test_the_worst_cases_are_the_worst_of_any_segmenter():
    segmenters = [scored("a", [0.9, 0.2, 0.8, 0.7]), scored("b", [0.9, 0.9, 0.1, 0.7])]
    evaluated = SegmenterEvaluation(cohort="c", simulated=False, part="test", segmenters=segmenters)
    assert evaluated.worst(3) == ["sub-02", "sub-01", "sub-03"]


def test_every_case_is_a_row_of_the_table(three, tmp_path):
    write_scores(three[:2], tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert rows[33]["segmenter"] == "better"
    assert rows[33]["hd95_mm"] == ""
    assert float(rows[33]["dice"]) == pytest.approx(three[1].cases["sub-03"].dice, abs=1e-5)
    assert (rows[0]["stratum"], rows[29]["stratum"]) == ("< 5 ml", "≥ 5 ml")
