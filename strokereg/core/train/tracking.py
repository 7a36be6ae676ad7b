"""Experiment trackers: they are told how trainings go, and can do them no harm.

A tracker sits beside the work, never in it: it is no part of a run's key, sees numbers and no network, and one that
raises is reported and dropped, while the training goes on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Tracker(Protocol):
    """A tracker. Built as `Class(folder)`, where `folder` is a path to keep things in, made by whoever needs it.

    Several runs may be open at once; each has a name that is good for a file, too.
    """

    def begin(self, run: str, facts: Mapping[str, Any]) -> None:
        """A training begins, or goes on after an interruption; `facts` are strings and numbers about it."""
        ...

    def step(self, run: str, step: int, losses: Mapping[str, float]) -> None:
        """A step is done, counted from 1; losses are named `player/loss`."""
        ...

    def end(self, run: str, failure: str | None) -> None:
        """A training is done, or did not hold, and why."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


class Tracking:
    """Some trackers as one, that raises nothing.

    Args:
        trackers: by name.
        warn: told in one sentence of a tracker that raised and was dropped.
    """

    def __init__(self, trackers: Mapping[str, Tracker], warn: Callable[[str], object]):
        self._trackers, self._warn = dict(trackers), warn
        self._open: list[str] = []

    def begin(self, run: str, facts: Mapping[str, Any]) -> None:
        """A training begins; told again of the same one it does nothing."""
        if run not in self._open:
            self._open.append(run)
            self._tell("begin", run, facts)

    def step(self, run: str, step: int, losses: Mapping[str, float]) -> None:
        """A step is done."""
        if losses:
            self._tell("step", run, step, losses)

    def end(self, run: str, failure: str | None = None) -> None:
        """A training is done; one that never began is not spoken of."""
        if run in self._open:
            self._open.remove(run)
            self._tell("end", run, failure)

    def close(self) -> None:
        """Nothing more will come; what is open still was interrupted."""
        for run in list(self._open):
            self.end(run, "interrupted")
        self._tell("close")

    def _tell(self, what: str, *words: object) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                getattr(tracker, what)(*words)
            except Exception as error:  # a tracker may raise anything; the training goes on
                del self._trackers[name]
                lines = str(error).strip().splitlines()
                reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
                self._warn(f"tracker {name}: failed in {what} ({reason}); it is dropped, the training goes on")


#: Beneath a run's or a study's folder; each tracker has a folder of its own there.
FOLDER = "tracking"


def open_tracking(names: Sequence[str], out: Path, warn: Callable[[str], object] | None = None) -> Tracking:
    """Build the trackers of these names.

    Args:
        names: of installed trackers; none gives a tracking that does nothing.
        out: folder of the run or study that they are told of.
        warn: told in one sentence of a tracker that fails later on; by default a Python warning.

    Raises:
        InputError: an unknown name, or a tracker that cannot be set up; nothing is trained then.
    """
    from strokereg.core.train.tracking import Tracking
    from strokereg.registry.catalogue import trackers
    from strokereg.registry.factory import build_tracker

    entries = {name: trackers().find(name) for name in names}
    built = {name: build_tracker(entry, out / FOLDER / name.replace(":", ".")) for name, entry in entries.items()}
    return Tracking(built, warn or _warn)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, RuntimeWarning, stacklevel=2)
