"""Compute summaries, contrasts and headroom of a study from its scores per case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from strokereg.core.evaluate.metrics import CaseMetrics
from strokereg.core.report.results import (
    Arm,
    Headroom,
    Results,
    SeedScores,
    Stratum,
    Study,
    Summary,
    baselines,
)
from strokereg.core.report.statistics import Contrast, contrast, holm, moments, spread

SMALL_ML = 5.0
STRATA = ("all", "< 5 ml", "≥ 5 ml")


def summarise(study: Study, arms: Sequence[Arm]) -> Results:
    """Compute everything that follows from the scores.

    Args:
        study: the settings.
        arms: arms with the scores of each seed; an arm whose trainings all failed has none and is not evaluated.

    Returns:
        Results without runs, failures, synthesis, provenance and timing, which the caller sets.
    """
    plain = baselines(arms)
    headroom = _headroom(study, plain)
    shown = {(room.segmenter, room.cases): room.contrast.difference for room in headroom if room.contrast.above_zero}
    evaluated = []
    for arm in arms:
        place = (arm.segmenter, arm.cases)
        baseline = plain.get(place) if arm.training != "clinical" else None
        against = _contrast(arm, baseline) if arm.seeds and baseline else None
        share = against.difference / shown[place] if against and place in shown else None
        filled = {"summary": _summary(arm, baseline), "contrast": against, "share": share}
        evaluated.append(arm.model_copy(update=filled))
    return Results(study=study, headroom=headroom, arms=_adjust(evaluated))


def evaluated_cases(*arms: Arm) -> list[str]:
    """Names of the test cases that every training of these arms was evaluated on."""
    sets = [set(seed.cases) for arm in arms for seed in arm.seeds]
    return sorted(set.intersection(*sets)) if sets else []


def scores(seeds: Sequence[SeedScores], names: Sequence[str], metric: str = "dice") -> np.ndarray:
    """One metric on test cases, float [seeds, cases]; NaN if undefined."""
    return _table([seed.cases for seed in seeds], names, metric)


def external_scores(seeds: Sequence[SeedScores], metric: str = "dice") -> np.ndarray:
    """One metric on the external cases that every training was evaluated on, float [seeds, cases]."""
    names = sorted(set.intersection(*(set(seed.external) for seed in seeds))) if seeds else []
    return _table([seed.external for seed in seeds], names, metric)


def stratum_of(volume_ml: float) -> str:
    """The size stratum of a true lesion volume."""
    return STRATA[1] if volume_ml < SMALL_ML else STRATA[2]


def _table(rows: Sequence[Mapping[str, CaseMetrics]], names: Sequence[str], metric: str) -> np.ndarray:
    values = [[getattr(row[name], metric) for name in names] for row in rows]
    return np.array(values, dtype=float).reshape(len(rows), len(names))


def _headroom(study: Study, plain: Mapping[tuple[str, int], Arm]) -> list[Headroom]:
    everything = study.cohort.counts.get("train", 0)
    found = []
    for (segmenter, cases), few in sorted(plain.items()):
        full = plain.get((segmenter, everything))
        if full is not None and cases < everything:
            found.append(
                Headroom(segmenter=segmenter, cases=cases, all_cases=everything, contrast=_contrast(full, few))
            )
    return found


def _contrast(arm: Arm, baseline: Arm, names: Sequence[str] | None = None) -> Contrast:
    names = evaluated_cases(arm, baseline) if names is None else names
    return contrast(scores(arm.seeds, names), scores(baseline.seeds, names))


def _summary(arm: Arm, baseline: Arm | None) -> Summary | None:
    if not arm.seeds:
        return None
    names = evaluated_cases(arm)
    first = arm.seeds[0].cases
    groups = {STRATA[0]: names}
    for stratum in STRATA[1:]:
        groups[stratum] = [name for name in names if stratum_of(first[name].volume_ml) == stratum]
    elsewhere = external_scores(arm.seeds)
    return Summary(
        dice=spread(scores(arm.seeds, names)),
        lesion_f1=spread(scores(arm.seeds, names, "lesion_f1")),
        external_dice=spread(elsewhere) if elsewhere.size else None,
        strata=[_stratum(arm, baseline, stratum, members) for stratum, members in groups.items() if members],
    )


def _stratum(arm: Arm, baseline: Arm | None, stratum: str, names: Sequence[str]) -> Stratum:
    metrics = {}
    for metric in CaseMetrics.model_fields:
        table = np.ma.masked_invalid(scores(arm.seeds, names, metric))
        found = moments(table.mean(axis=0).compressed())
        if found:
            metrics[metric] = found
    sized = stratum != STRATA[0] and baseline is not None
    shared = set(evaluated_cases(arm, baseline)) if baseline else set()
    common = [name for name in names if name in shared]
    against = _contrast(arm, baseline, common) if sized and baseline and common else None
    return Stratum(name=stratum, cases=len(names), metrics=metrics, contrast=against)


def _adjust(arms: Sequence[Arm]) -> list[Arm]:
    """Holm's correction over all arms that have a p-value."""
    p_values = {i: arm.contrast.p for i, arm in enumerate(arms) if arm.contrast and arm.contrast.p is not None}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    filled = list(arms)
    for i, p in adjusted.items():
        found = arms[i].contrast
        assert found is not None
        filled[i] = arms[i].model_copy(update={"contrast": found.model_copy(update={"adjusted_p": p})})
    return filled
