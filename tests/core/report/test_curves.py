from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from strokereg.core.report.curves import Line, Point, draw_curves, draw_lines
from strokereg.core.report.names import Names
from strokereg.core.report.results import Results
from strokereg.core.report.summary import evaluated_cases, scores


def marks(chart: str) -> dict[str, list[str]]:
    """Label → hints of its marks."""
    found: dict[str, list[str]] = {}
    for hint in re.findall(r"<circle[^>]*><title>(.*?)</title>", chart):
        found.setdefault(hint.split(",")[0], []).append(hint)
    return found


def test_a_line_for_clinical_only_and_for_each_model(large_results: Results) -> None:
    both, alone = draw_curves(large_results, Names(large_results))
    assert (both.title, alone.title) == ("Clinical + synthetic", "Synthetic only")
    models = ["pix2pix", "spade", "random-contrast", "carvemix", "lesion-paste"]
    for pair in (both, alone):
        assert list(marks(pair.dice)) == ["clinical only", *models]
        assert {len(hints) for hints in marks(pair.dice).values()} == {3}
        assert "all 110" in pair.dice
        # Two numbers of cases have a headroom; all cases are the headroom.
        assert len(marks(pair.difference)["headroom"]) == 2
        assert list(marks(pair.difference)) == ["headroom", *models]


def test_values_are_the_arms_own(large_results: Results) -> None:
    both, _ = draw_curves(large_results, Names(large_results))
    arm = next(a for a in large_results.arms if a.name == "spade, clinical + synthetic" and a.cases == 50)
    mean = np.mean(scores(arm.seeds, evaluated_cases(arm))) * 100
    (hint,) = [hint for hint in marks(both.dice)["spade"] if ", 50 cases" in hint]
    value, low, high = map(float, re.findall(r"-?\d+\.\d", hint))
    assert value == pytest.approx(mean, abs=0.051)
    assert low < value < high
    assert arm.contrast is not None
    (hint,) = [hint for hint in marks(both.difference)["spade"] if ", 50 cases" in hint]
    assert f"{arm.contrast.difference * 100:+.1f}" in hint


def test_the_headroom_s_point_alone_is_not_a_curve(results: Results) -> None:
    assert draw_curves(results, Names(results)) == []


def test_the_headroom_s_arm_ends_the_line_of_clinical_only(large_results: Results) -> None:
    study = large_results.study.model_copy(update={"cases": [10, 50]})
    arms = [arm for arm in large_results.arms if arm.cases < 110 or arm.training == "clinical"]
    fewer = large_results.model_copy(update={"study": study, "arms": arms})
    both, _ = draw_curves(fewer, Names(fewer))
    assert len(marks(both.dice)["clinical only"]) == 3
    assert len(marks(both.dice)["pix2pix"]) == 2


def test_a_failed_arm_leaves_a_gap(large_results: Results) -> None:
    empty = {"seeds": [], "summary": None, "contrast": None, "share": None}
    arms = [a.model_copy(update=empty) if (a.translator, a.cases) == ("spade", 10) else a for a in large_results.arms]
    gone = large_results.model_copy(update={"arms": arms})
    both, _ = draw_curves(gone, Names(gone))
    assert len(marks(both.dice)["spade"]) == 2
    assert len(marks(both.dice)["pix2pix"]) == 3


def test_bars_reach_from_low_to_high_and_lie_apart() -> None:
    lines = [
        Line("one", "k1", [Point(10, 50, 45, 55), Point(100, 60, 58, 62)]),
        Line("two", "k2 open", [Point(10, 50, 40, 60), Point(100, 60)]),
    ]
    root = ElementTree.fromstring(draw_lines(lines, "title", "Dice", None))
    bars = [{k: float(line.get(k, "nan")) for k in ("x1", "y1", "y2")} for line in root.iter("line")
            if line.get("class") == "bar"]  # fmt: skip
    assert len(bars) == 3
    assert bars[0]["x1"] != bars[2]["x1"]
    assert abs(bars[2]["y2"] - bars[2]["y1"]) == pytest.approx(2 * abs(bars[0]["y2"] - bars[0]["y1"]), abs=0.3)
    middle = np.mean([bars[0]["y1"], bars[0]["y2"]])
    assert float(next(root.iter("circle")).get("cy", "nan")) == pytest.approx(middle, abs=0.2)
