"""Scores of segmenters on one set of cases, with intervals and paired differences.

Here each segmenter is one given model, so its intervals cover the choice of cases only. They say nothing about another
training of the same recipe; a study does (`core.report.summary`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from strokereg.core.evaluate.metrics import CaseMetrics
from strokereg.core.report.statistics import Contrast, Moments, contrast, holm, interval_of_mean, moments
from strokereg.core.report.summary import STRATA, stratum_of
from strokereg.core.storage.files import replacing

#: Metrics that are compared; the other fields of `CaseMetrics` are volumes that these are made of.
COMPARED = tuple(name for name in CaseMetrics.model_fields if name not in ("volume_ml", "predicted_ml"))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Measure(Moments):
    """A metric over cases; `low` and `high` are the bootstrap 95 % interval of its mean, None below 6 cases."""

    low: float | None
    high: float | None


class SegmenterScores(_Part):
    """One segmenter.

    Attributes:
        name: distinguishes it from the others.
        kind: run, bundle or masks.
        source: where it was read.
        cases: name → scores.
        strata: "all", "< 5 ml" and "≥ 5 ml" of true volume → metric → its measure; those without cases are left out.
    """

    name: str
    kind: str
    source: str
    cases: dict[str, CaseMetrics]
    strata: dict[str, dict[str, Measure]] = {}


class Difference(_Part):
    """A segmenter minus the baseline, paired by case.

    Attributes:
        metrics: metric → contrast. HD95 uses the cases in which both have one. Only Dice is tested, with Holm's
            correction over all differences.
    """

    name: str
    baseline: str
    metrics: dict[str, Contrast]


class SegmenterEvaluation(_Part):
    """The content of `evaluation.json`.

    Attributes:
        cohort, simulated: of the cases.
        part: train, val, test or all; `fold` is that of a cross-validation.
        segmenters: in the order given. The first is the baseline of `differences`.
    """

    schema_version: int = 1
    command: str = ""
    cohort: str
    simulated: bool
    part: str
    fold: int | None = None
    segmenters: list[SegmenterScores]
    differences: list[Difference] = []
    versions: dict[str, str] = {}

    def worst(self, count: int) -> list[str]:
        """Names of the cases with the lowest Dice of any segmenter, worst first."""
        names = list(self.segmenters[0].cases)
        return sorted(names, key=lambda name: min(one.cases[name].dice for one in self.segmenters))[:count]


def summarise_segmenters(scored: Sequence[SegmenterScores]) -> tuple[list[SegmenterScores], list[Difference]]:
    """Fill in the strata of segmenters that were scored on the same cases, and compare each with the first."""
    filled = [one.model_copy(update={"strata": _strata(one.cases)}) for one in scored]
    first, *others = scored
    differences = [_difference(one, first) for one in others]
    p_values = [one.metrics["dice"].p for one in differences]
    if known := [p for p in p_values if p is not None]:
        adjusted = iter(holm(known))
        for one, p in zip(differences, p_values, strict=True):
            if p is not None:
                one.metrics["dice"] = one.metrics["dice"].model_copy(update={"adjusted_p": next(adjusted)})
    return filled, differences


def _strata(cases: Mapping[str, CaseMetrics]) -> dict[str, dict[str, Measure]]:
    groups = {STRATA[0]: list(cases.values())}
    groups |= {name: [m for m in cases.values() if stratum_of(m.volume_ml) == name] for name in STRATA[1:]}
    return {name: _measures(members) for name, members in groups.items() if members}


def _measures(scored: Sequence[CaseMetrics]) -> dict[str, Measure]:
    found = {}
    for metric in CaseMetrics.model_fields:
        values = [float(value) for one in scored if (value := getattr(one, metric)) is not None]
        if (over := moments(values)) is not None:
            low, high = interval_of_mean(np.array([values])) or (None, None)
            found[metric] = Measure(**over.model_dump(), low=low, high=high)
    return found


def _difference(one: SegmenterScores, baseline: SegmenterScores) -> Difference:
    found = {}
    for metric in COMPARED:
        pairs = [(getattr(one.cases[name], metric), getattr(baseline.cases[name], metric)) for name in one.cases]
        both = np.array([pair for pair in pairs if None not in pair], dtype=float).T
        if both.size:
            compared = contrast(both[:1], both[1:], recipes=False)
            found[metric] = compared if metric == "dice" else compared.model_copy(update={"p": None})
    return Difference(name=one.name, baseline=baseline.name, metrics=found)


def write_scores(scored: Sequence[SegmenterScores], path: Path) -> None:
    """Write one row per segmenter and case as CSV, atomically; an undefined score is an empty cell."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["segmenter", "case", "stratum", *CaseMetrics.model_fields])
        for one in scored:
            for name, found in one.cases.items():
                values = (getattr(found, metric) for metric in CaseMetrics.model_fields)
                cells = ("" if value is None else f"{value:.6g}" for value in values)
                writer.writerow([one.name, name, stratum_of(found.volume_ml), *cells])
