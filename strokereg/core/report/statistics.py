"""The statistics of a study: spread over seeds, paired contrasts, correction over arms.

Scores are arrays [seeds, cases] of one metric on the same test cases. A seed is one training, shared by all cases, so
seeds and cases are crossed: the bootstrap draws cases (the same for both arms) and, independently, trainings of each
arm (Owen, Ann Appl Stat 2007, doi:10.1214/07-AOAS122). If seeds were resampled within each case, the variation
between trainings would average out over the cases. In 400 simulated studies (5 seeds, 40 cases, 2 Dice points between
trainings) such intervals contained the true difference in 61 %, the crossed ones in 92 %, and intervals over the cases
of a single training in 45 %. An interval over cases alone therefore proves nothing about a recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

FEWEST_CASES = 6  # with fewer, even the full range of values contains the median in less than 95 % of samples
DRAWS = 10_000


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Spread(_Frozen):
    """A score over trainings, printed as `best [mean ± sd]`; `sd` (n - 1) is None for one training."""

    best: float
    mean: float
    sd: float | None
    seeds: int


class Moments(_Frozen):
    """A score over cases; `cases` is the number of cases with a defined score, `sd` (n - 1) is None for one case."""

    mean: float
    median: float
    sd: float | None
    cases: int


class Contrast(_Frozen):
    """Arm minus baseline, paired by case, in the unit of the metric.

    Attributes:
        difference: mean over cases of the seed-averaged differences.
        low, high: bootstrap 95 % interval, or None with fewer than 6 cases.
        over: what the interval resamples; only "cases" if either arm was trained once.
        p: two-sided Wilcoxon signed-rank on the seed-averaged differences; None with too few cases, and with one seed
            where recipes are compared.
        adjusted_p: `p` after Holm's correction over the arms of the study.
        effect: matched-pairs rank-biserial correlation, -1 … 1.
        cases: number of test cases.
        seeds: number of trainings of the arm that has fewer.
    """

    difference: float
    low: float | None
    high: float | None
    over: Literal["cases and seeds", "cases"]
    p: float | None
    adjusted_p: float | None = None
    effect: float
    cases: int
    seeds: int

    @property
    def above_zero(self) -> bool:
        """True if the interval lies above 0; this is a gain if it is over cases and seeds."""
        return self.low is not None and self.low > 0

    @property
    def below_zero(self) -> bool:
        """True if the interval lies below 0; this is a loss if it is over cases and seeds."""
        return self.high is not None and self.high < 0


def spread(scores: np.ndarray) -> Spread:
    """`best [mean ± sd]` over trainings of the mean over cases.

    Args:
        scores: [seeds, cases], at least one of each.
    """
    means = np.asarray(scores, dtype=float).mean(axis=1)
    sd = float(means.std(ddof=1)) if means.size > 1 else None
    return Spread(best=float(means.max()), mean=float(means.mean()), sd=sd, seeds=means.size)


def interval_of_mean(scores: np.ndarray, draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
    """Bootstrap 95 % interval of a mean over cases and, if there are several, trainings; None for too few cases.

    Args:
        scores: [seeds, cases].
    """
    scores = np.asarray(scores, dtype=float)
    if scores.shape[1] < FEWEST_CASES:
        return None
    nothing = np.zeros((1, scores.shape[1]))
    return _interval(scores, nothing, len(scores) > 1, draws, np.random.default_rng(seed))


def moments(values: Sequence[float]) -> Moments | None:
    """Mean, median and sd over cases; None for no case."""
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        return None
    sd = float(array.std(ddof=1)) if array.size > 1 else None
    return Moments(mean=float(array.mean()), median=float(np.median(array)), sd=sd, cases=array.size)


def contrast(
    arm: np.ndarray, baseline: np.ndarray, draws: int = DRAWS, seed: int = 0, recipes: bool = True
) -> Contrast:
    """Compare an arm with its baseline on the same cases.

    Args:
        arm, baseline: [seeds, cases]; the number of seeds may differ, and column j is the same case in both.
        draws: bootstrap samples.
        seed: seed of the bootstrap; the same input gives the same numbers.
        recipes: compare recipes, whose trainings vary, so that a p-value needs several. False compares two given
            models, for which only the cases vary.
    """
    arm, baseline = np.asarray(arm, dtype=float), np.asarray(baseline, dtype=float)
    differences = arm.mean(axis=0) - baseline.mean(axis=0)
    cases, seeds = differences.size, min(len(arm), len(baseline))
    enough = cases >= FEWEST_CASES
    low = high = None
    if enough:
        low, high = _interval(arm, baseline, seeds > 1, draws, np.random.default_rng(seed))
    return Contrast(
        difference=float(differences.mean()),
        low=low,
        high=high,
        over="cases and seeds" if seeds > 1 else "cases",
        p=_signed_rank(differences) if enough and (seeds > 1 or not recipes) else None,
        effect=rank_biserial(differences),
        cases=cases,
        seeds=seeds,
    )


def rank_biserial(differences: np.ndarray) -> float:
    """Matched-pairs rank-biserial correlation (Kerby 2014): share of rank sum above minus below zero."""
    from scipy.stats import rankdata  # here, because workers of a study load this file and need no statistics

    moved = _moved(differences)
    ranks = rankdata(np.abs(moved))
    return float((ranks * np.sign(moved)).sum() / ranks.sum()) if moved.size else 0.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order of the input."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for place, index in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = running
    return adjusted


def _interval(
    arm: np.ndarray, baseline: np.ndarray, with_seeds: bool, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Percentile interval. A sample is a weight per case and per training, so each draw is two dot products."""

    def weights(count: int, resampled: bool = True) -> np.ndarray:
        if not resampled:
            return np.full((draws, count), 1.0 / count)
        return rng.multinomial(count, np.full(count, 1.0 / count), size=draws) / count

    of_case = weights(arm.shape[1])
    of_arm, of_baseline = weights(len(arm), with_seeds), weights(len(baseline), with_seeds)
    samples = ((of_arm @ arm - of_baseline @ baseline) * of_case).sum(axis=1)
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def _moved(differences: np.ndarray) -> np.ndarray:
    """Differences that are not zero up to rounding: equal scores must not get a sign from the last bit."""
    rounded = np.round(differences, 12)
    return rounded[rounded != 0]


def _signed_rank(differences: np.ndarray) -> float:
    from scipy.stats import wilcoxon

    moved = _moved(differences)
    return float(wilcoxon(moved).pvalue) if moved.size else 1.0
