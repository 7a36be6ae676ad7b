"""Headroom at several step counts: what all clinical cases gain over a few. Measured, not extrapolated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from strokereg.core.report.results import Headroom
from strokereg.core.study.compare import DEFAULTS, RunOptions, compare
from strokereg.registry.errors import InputError

_ALL = "--cases: asks for all training cases, so that more of them cannot be tried; ask for fewer"
#: The default folder; each step count has a study folder in it.
OUT = Path("strokereg-headroom")


@dataclass(frozen=True)
class MeasuredHeadroom:
    """Mean Dice (0 … 1) of clinical only after so many segmenter steps, with a few and with all cases."""

    steps: int
    few: float
    everything: float
    headroom: Headroom


def measure_headroom(
    steps: Sequence[int],
    data: Path | str | None = None,
    out: Path | str = OUT,
    preset: str = "quick",
    run: RunOptions = DEFAULTS,
    **changes: Any,
) -> list[MeasuredHeadroom]:
    """Train clinical only with a few and with all cases, once for each number of steps.

    A study with one of these step counts finds its clinical-only trainings done.

    Args:
        steps: several step counts of the segmenter.
        data: see `compare`.
        out: folder for the studies.
        preset, run, **changes: see `compare`; models are not needed.

    Raises:
        InputError: see `compare`; also a cohort that has no more training cases than asked for.
    """
    if any(count < 1 for count in steps) or len(set(steps)) != len(steps):
        raise InputError(f"--steps {','.join(map(str, steps))}: give different numbers of at least 1")
    if changes.get("cases") == (0,):
        raise InputError(_ALL)
    given = dict(changes.pop("budgets", None) or {})
    changes["headroom"] = True
    found = []
    for count in sorted(steps):
        budgets = {**given, "segmenter": {**given.get("segmenter", {}), "steps": count}}
        how = replace(run, command=f"strokereg headroom --steps {count}")
        results = compare((), data, Path(out) / f"{count}-steps", preset, how, budgets=budgets, **changes).results
        if not results.headroom:
            raise InputError(_ALL)
        room = results.headroom[0]
        means = {arm.cases: arm.summary.dice.mean for arm in results.arms if arm.summary}
        found.append(MeasuredHeadroom(count, means[room.cases], means[room.all_cases], room))
    return found
