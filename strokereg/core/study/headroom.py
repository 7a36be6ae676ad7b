"""From which step count on more clinical cases help: measured, not extrapolated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.registry.errors import InputError

if TYPE_CHECKING:
    from strokereg.core.report.results import Headroom
    from strokereg.core.study.executor import StudyCallbacks

_ALL = "--cases: asks for all training cases, so that more of them cannot be tried; ask for fewer"
#: Where it goes when nobody says where.
OUT = Path("strokereg-headroom")


@dataclass(frozen=True)
class MeasuredHeadroom:
    """A number of segmenter steps, and what clinical only did with it."""

    steps: int
    few: float
    everything: float
    headroom: Headroom


def measure_headroom(
    steps: Sequence[int],
    data: Path | str | None = None,
    out: Path | str = OUT,
    preset: str = "quick",
    workers: int | None = None,
    callbacks: StudyCallbacks | None = None,
    **changes: Any,
) -> list[MeasuredHeadroom]:
    """Train clinical only with few and with all cases, once for each number of steps.

    A study with one of these step counts finds its clinical-only trainings done.

    Args:
        steps: of the segmenter, several.
        data: cohort folder; None for the simulated one.
        out: a study folder for each step count goes in here.
        preset, **changes: see `core.study.compare.study_settings`; models are not needed.
        workers, callbacks: as for `compare`.

    Raises:
        InputError: see `compare`; also a cohort that has no more training cases than asked for.
    """
    from strokereg.core.study.compare import compare

    if any(count < 1 for count in steps) or len(set(steps)) != len(steps):
        raise InputError(f"--steps {','.join(map(str, steps))}: give different numbers of at least 1")
    if changes.get("cases") == (0,):
        raise InputError(_ALL)
    given = dict(changes.pop("budgets", None) or {})
    found = []
    for count in sorted(steps):
        budgets = {**given, "segmenter": {**given.get("segmenter", {}), "steps": count}}
        finished = compare(
            (), data, Path(out) / f"{count}-steps", preset, None, workers, callbacks,
            f"strokereg headroom --steps {count}", budgets=budgets, **{**changes, "headroom": True},
        )  # fmt: skip
        results = finished.results
        if not results.headroom:
            raise InputError(
                "--cases: asks for all training cases, so that more of them cannot be tried; ask for fewer"
            )
        room = results.headroom[0]
        means = {arm.cases: arm.summary.dice.mean for arm in results.arms if arm.summary}
        found.append(MeasuredHeadroom(count, means[room.cases], means[room.all_cases], room))
    return found
