"""Where the losses of a training go: `history.csv` in the run folder, and experiment trackers.

A tracker never affects a training: it is no part of a run's key, receives numbers and no network, and is dropped with a
warning when it raises.
"""

from __future__ import annotations

import contextlib
import csv
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from strokereg.core.storage.files import replacing
from strokereg.registry.catalogue import trackers
from strokereg.registry.errors import OutputFailed, describe_error
from strokereg.registry.factory import build_tracker

_COLUMNS = ("step", "loss", "value")
#: Subfolder of a run or study in which each tracker has its own folder.
FOLDER = "tracking"
#: Name in the history of the mean Dice on validation cases during a training, which is no loss.
VALIDATION_DICE = "validation/dice"


class History:
    """Appends losses to `history.csv`, one row per loss, named `player/loss`; and the validation Dice of a segmenter.

    Rows stay in memory until `flush`, which the trainer calls with each checkpoint. After a crash, `cut` removes the
    rows that were written after the last checkpoint.
    """

    def __init__(self, path: Path):
        self.path = path
        self._rows: list[tuple[int, str, float]] = []

    def cut(self, step: int) -> None:
        """Remove all rows after `step`; 0 removes everything."""
        if self.path.is_file():
            kept = [row for row in _read(self.path) if row[0] <= step]
            with self._writing(), replacing(self.path) as temporary:
                _write(temporary, kept, fresh=True)

    def add(self, step: int, losses: dict[str, float]) -> None:
        """Keep the losses of a step until the next `flush`."""
        self._rows += [(step, name, value) for name, value in losses.items()]

    def flush(self) -> None:
        """Write the rows that are in memory.

        Raises:
            OutputFailed: the disk is full or cannot be written.
        """
        if not self._rows:
            return
        with self._writing():
            _write(self.path, self._rows, fresh=not self.path.is_file())
        self._rows = []

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputFailed(
                f"{self.path}: cannot be written ({error.strerror}); make room and run the same command again"
            ) from error


def series(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read a history: loss name → (step, value) in order of steps; empty where there is no file."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for step, name, value in _read(path) if path.is_file() else []:
        curves.setdefault(name, []).append((step, value))
    return curves


def _write(path: Path, rows: list[tuple[int, str, float]], fresh: bool) -> None:
    with path.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        if fresh:
            writer.writerow(_COLUMNS)
        writer.writerows((step, name, f"{value:.6g}") for step, name, value in rows)


def _read(path: Path) -> list[tuple[int, str, float]]:
    rows = []
    with path.open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            try:
                rows.append((int(row["step"]), row["loss"], float(row["value"])))
            except (TypeError, ValueError):  # the last row was cut short by a crash
                break
    return rows


@runtime_checkable
class Tracker(Protocol):
    """An experiment tracker, built as `Class(folder)`; it may create the folder and keep files in it.

    Several runs may be open at once. The name of a run is also valid as a file name.
    """

    def begin(self, run: str, facts: Mapping[str, Any]) -> None:
        """A training begins or resumes; `facts` are strings and numbers about it."""
        ...

    def step(self, run: str, step: int, losses: Mapping[str, float]) -> None:
        """A step is done, counted from 1; losses are named `player/loss`."""
        ...

    def end(self, run: str, failure: str | None) -> None:
        """A training is done, or has failed for the given reason."""
        ...

    def close(self) -> None:
        """No more calls will follow."""
        ...


class Tracking:
    """Calls several trackers, and drops each that raises.

    Args:
        trackers: by name.
        warn: called with one sentence when a tracker raises and is dropped.
    """

    def __init__(self, trackers: Mapping[str, Tracker], warn: Callable[[str], object]):
        self._trackers, self._warn = dict(trackers), warn
        self._open: list[str] = []

    def begin(self, run: str, facts: Mapping[str, Any]) -> None:
        """Open a run; does nothing for a run that is open."""
        if run not in self._open:
            self._open.append(run)
            self._call("begin", run, facts)

    def step(self, run: str, step: int, losses: Mapping[str, float]) -> None:
        """Pass on the losses of a step."""
        if losses:
            self._call("step", run, step, losses)

    def end(self, run: str, failure: str | None = None) -> None:
        """Close a run; does nothing for a run that is not open."""
        if run in self._open:
            self._open.remove(run)
            self._call("end", run, failure)

    def close(self) -> None:
        """Close the trackers; runs that are still open end as interrupted."""
        for run in list(self._open):
            self.end(run, "interrupted")
        self._call("close")

    def _call(self, method: str, *arguments: object) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                getattr(tracker, method)(*arguments)
            except Exception as error:  # a tracker may raise anything; the training continues
                del self._trackers[name]
                self._warn(
                    f"tracker {name}: failed in {method} ({describe_error(error)}); it is dropped, the training goes on"
                )


def open_tracking(names: Sequence[str], out: Path, warn: Callable[[str], object] | None = None) -> Tracking:
    """Build the trackers with these names.

    Args:
        names: installed trackers; an empty sequence gives a `Tracking` that does nothing.
        out: folder of the run or study.
        warn: called with one sentence when a tracker fails later; by default a Python warning.

    Raises:
        InputError: an unknown name, or a tracker that cannot be set up.
    """
    entries = {name: trackers().find(name) for name in names}
    built = {name: build_tracker(entry, out / FOLDER / name.replace(":", ".")) for name, entry in entries.items()}
    return Tracking(built, warn or _warn)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, RuntimeWarning, stacklevel=2)
