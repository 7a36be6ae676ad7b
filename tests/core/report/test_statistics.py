from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from strokereg.core.report.statistics import (
    contrast,
    holm,
    interval_of_mean,
    moments,
    rank_biserial,
    spread,
)


def study(rng: np.random.Generator, gain: float, seeds: int = 3, cases: int = 20, luck: float = 0.0) -> np.ndarray:
    """Scores [2, seeds, cases] of an arm and its baseline: shared difficulty, luck of a training, noise."""
    difficulty = rng.normal(0.6, 0.1, cases)
    trainings = rng.normal(0, luck, (2, seeds, 1))
    return difficulty + trainings + rng.normal(0, 0.04, (2, seeds, cases)) + np.array([gain, 0])[:, None, None]


def test_spread_is_best_mean_and_sd_over_seeds() -> None:
    got = spread(np.array([[0.5, 0.7], [0.6, 0.8], [0.4, 0.6]]))
    assert (got.best, got.mean, got.sd, got.seeds) == (pytest.approx(0.7), pytest.approx(0.6), pytest.approx(0.1), 3)


def test_one_seed_has_no_sd() -> None:
    assert spread(np.array([[0.5, 0.7]])).sd is None


def test_moments() -> None:
    got = moments([1.0, 2.0, 6.0])
    assert got is not None
    assert (got.mean, got.median, got.cases) == (3.0, 2.0, 3)
    assert got.sd == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert moments([]) is None


def test_contrast_finds_a_gain() -> None:
    arm, baseline = study(np.random.default_rng(0), gain=0.05)
    got = contrast(arm, baseline)
    assert got.difference == pytest.approx((arm - baseline).mean())
    assert got.above_zero
    assert not got.below_zero
    assert got.over == "cases and seeds"
    assert got.p == pytest.approx(stats.wilcoxon(arm.mean(0) - baseline.mean(0)).pvalue)
    assert got.effect > 0.9
    mirrored = contrast(baseline, arm)
    assert mirrored.below_zero
    assert mirrored.effect == pytest.approx(-got.effect)


def test_contrast_is_repeatable() -> None:
    arm, baseline = study(np.random.default_rng(1), gain=0.02)
    assert contrast(arm, baseline).model_dump_json() == contrast(arm, baseline).model_dump_json()


def test_interval_over_cases_is_the_textbook_one() -> None:
    arm, baseline = study(np.random.default_rng(2), gain=0.0, seeds=1, cases=60)
    got = contrast(arm, baseline)
    differences = arm[0] - baseline[0]
    half = 1.96 * differences.std() / np.sqrt(differences.size)
    assert got.low == pytest.approx(got.difference - half, abs=0.002)
    assert got.high == pytest.approx(got.difference + half, abs=0.002)


def test_interval_is_that_of_drawing_cases_and_trainings_one_by_one() -> None:
    """The same bootstrap, written as its words say: one draw of cases for both arms, one of trainings for each."""
    rng = np.random.default_rng(8)
    arm, baseline = study(rng, gain=0.02, seeds=4, cases=15, luck=0.02)
    found = contrast(arm, baseline, draws=20_000)
    samples = []
    for _ in range(8000):
        cases = rng.integers(0, 15, 15)
        ours, theirs = (scores[rng.integers(0, 4, 4)][:, cases] for scores in (arm, baseline))
        samples.append(ours.mean() - theirs.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(samples, [2.5, 97.5])), abs=0.0015)


def test_interval_of_a_mean_is_the_textbook_one() -> None:
    scores = np.random.default_rng(9).normal(0.6, 0.1, (1, 80))
    half = 1.96 * scores.std() / np.sqrt(80)
    assert interval_of_mean(scores) == pytest.approx((scores.mean() - half, scores.mean() + half), abs=0.003)
    lucky = np.concatenate([scores - 0.05, scores, scores + 0.05])  # trainings differ: that widens it
    low, high = interval_of_mean(lucky) or (0.0, 0.0)
    assert high - low > 2 * half * 1.3
    assert interval_of_mean(scores[:, :5]) is None


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """With luck of trainings as large as in PROTOCOL-like studies; resampling seeds in each case fails this."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        arm, baseline = study(rng, gain=0.03, seeds=5, cases=40, luck=0.02)
        got = contrast(arm, baseline, draws=1000)
        assert got.low is not None
        assert got.high is not None
        held += got.low <= 0.03 <= got.high
    assert held / 200 >= 0.85


def test_one_seed_has_no_p_value_and_says_over_cases() -> None:
    arm, baseline = study(np.random.default_rng(4), gain=0.05, seeds=1)
    got = contrast(arm, baseline)
    assert got.p is None
    assert got.over == "cases"
    assert got.low is not None


def test_arms_may_have_different_numbers_of_seeds() -> None:
    arm, baseline = study(np.random.default_rng(5), gain=0.05)
    got = contrast(arm[:2], baseline)
    assert got.seeds == 2
    assert got.over == "cases and seeds"
    assert contrast(arm[:1], baseline).p is None


def test_too_few_cases_give_no_interval() -> None:
    arm, baseline = study(np.random.default_rng(6), gain=0.3, cases=5)
    got = contrast(arm, baseline)
    assert (got.low, got.high, got.p) == (None, None, None)
    assert not got.above_zero


def test_equal_arms() -> None:
    arm, _ = study(np.random.default_rng(7), gain=0)
    got = contrast(arm, arm[::-1])
    assert got.difference == pytest.approx(0)
    assert (got.p, got.effect) == (1.0, 0.0)
    assert not got.above_zero


def test_rank_biserial_by_hand() -> None:
    # ranks 1, 2, 3 of 1, -2, 3: (1 + 3 - 2) / 6; the zero does not count
    assert rank_biserial(np.array([1.0, -2.0, 3.0, 0.0])) == pytest.approx(1 / 3)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_two_given_models_have_a_p_value_without_a_second_seed() -> None:
    arm, baseline = study(np.random.default_rng(4), gain=0.05, seeds=1)
    got = contrast(arm, baseline, recipes=False)
    assert got.p == pytest.approx(float(stats.wilcoxon(arm[0] - baseline[0]).pvalue))
    assert got.over == "cases"
    assert contrast(arm[:, :5], baseline[:, :5], recipes=False).p is None
