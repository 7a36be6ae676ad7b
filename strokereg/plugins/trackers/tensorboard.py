"""TensorBoard: event files in one folder for each run, for `tensorboard --logdir`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strokereg.registry.errors import InputError


class TensorBoardTracker:
    """Writes losses as scalars and the facts of a run as text."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "--track tensorboard: the package tensorboard is missing; run pip install 'strokereg[tensorboard]'"
            ) from error
        self._writer = SummaryWriter
        self._folder = folder
        self._runs: dict[str, Any] = {}

    def begin(self, run: str, facts: Mapping[str, Any]) -> None:
        """Open the folder of the run; a resumed run gets another event file there, which TensorBoard joins."""
        self._runs[run] = self._writer(str(self._folder / run))
        self._runs[run].add_text("run", "\n".join(f"- {name}: {value}" for name, value in facts.items()))

    def step(self, run: str, step: int, losses: Mapping[str, float]) -> None:
        """Write the losses."""
        for name, value in losses.items():
            self._runs[run].add_scalar(name, value, step)

    def end(self, run: str, failure: str | None) -> None:
        """Close the event file of the run."""
        writer = self._runs.pop(run)
        if failure is not None:
            writer.add_text("failure", failure)
        writer.close()

    def close(self) -> None:
        """Does nothing, because each run closes its file."""
