"""The losses of a run, step by step, as a CSV that any program reads: columns `step`, `loss`, `value`."""

from __future__ import annotations

import csv
from pathlib import Path

_COLUMNS = ("step", "loss", "value")


class History:
    """Appends to `history.csv`; a loss is named `player/loss`.

    Rows wait in memory until `flush`, which the trainer calls with each checkpoint; what a crash left beyond the
    checkpoint is taken away again by `cut`. One row a loss, so an architecture may yield other losses later on.
    """

    def __init__(self, path: Path):
        self.path = path
        self._rows: list[tuple[int, str, float]] = []

    def cut(self, step: int) -> None:
        """Drop what was written after `step`; a fresh start (0) drops everything."""
        if self.path.is_file():
            self._rows = [row for row in _read(self.path) if row[0] <= step]
            self.path.unlink()
            self.flush()

    def add(self, step: int, losses: dict[str, float]) -> None:
        """Note the losses of a step."""
        self._rows += [(step, name, value) for name, value in losses.items()]

    def flush(self) -> None:
        """Write the waiting rows."""
        if not self._rows:
            return
        fresh = not self.path.is_file()
        with self.path.open("a", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            if fresh:
                writer.writerow(_COLUMNS)
            writer.writerows((step, name, f"{value:.6g}") for step, name, value in self._rows)
        self._rows = []


def series(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Loss name → (step, value) in order of steps; empty where there is no file."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for step, name, value in _read(path) if path.is_file() else []:
        curves.setdefault(name, []).append((step, value))
    return curves


def _read(path: Path) -> list[tuple[int, str, float]]:
    rows = []
    with path.open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            try:
                rows.append((int(row["step"]), row["loss"], float(row["value"])))
            except (TypeError, ValueError):  # a last row cut short by a crash
                break
    return rows
