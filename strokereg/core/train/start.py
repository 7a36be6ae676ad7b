"""Starting a training from the weights of a finished run, for fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from strokereg.core.storage.cache import sha256_of
from strokereg.core.storage.files import own_file
from strokereg.core.train.record import WEIGHTS, Record, Start
from strokereg.registry.errors import InputError
from strokereg.registry.specs import Role

#: Digits of the digests of weights that records and descriptions keep.
DIGITS = 16


def read_start(
    run: Path | str,
    architecture: str,
    channels: Sequence[str],
    labels: Sequence[str],
    cohort: dict[str, Any],
    adapt: bool = False,
) -> Start:
    """Check that a training can start from the weights of a run, and describe them.

    Names and shapes of the weights are checked when they are loaded; see `core.train.runs.load_start`.

    Args:
        run: folder of a finished run.
        architecture: what is to be trained.
        channels, labels: of the new training. Labels count for a translator only, which has them as input.
        cohort: path and fold of the new training; see `Record.cohort`.
        adapt: accept other channels and labels, and start layers of another shape anew.

    Raises:
        InputError: no finished run, a run of another architecture, with other channels or labels, or of another fold
            of the same cohort, which has seen its validation or test cases.
    """
    record = Record.read(run)
    weights = own_file(Path(run), WEIGHTS)
    if not record.done or not weights.is_file():
        raise InputError(f"--from {run}: the run is not finished; finish its training first")
    if record.architecture != architecture:
        raise InputError(f"--from {run}: is a run of {record.architecture}, not of {architecture}; give one of that")
    if record.cohort.get("path") == cohort.get("path") and record.cohort.get("fold") != cohort.get("fold"):
        raise InputError(
            f"--from {run}: was trained on another fold of this cohort, so it may have seen validation or test cases; "
            "give a run of the same fold or of another cohort"
        )
    pairs = {"channels": (record.preparation.channels, channels)}
    if record.role is Role.TRANSLATOR:
        pairs["labels"] = (record.labels, labels)
    for what, (before, now) in pairs.items():
        if tuple(before) != tuple(now) and not adapt:
            raise InputError(
                f"--from {run}: has the {what} {', '.join(before)}, and this training has {', '.join(now)}; "
                "give another run, or --adapt to start layers that do not fit anew"
            )
    return Start(
        path=str(Path(run).resolve()),
        run=Path(run).resolve().name,
        weights=sha256_of(weights)[:DIGITS],
        cohort=str(record.cohort.get("name", "")),
        steps=int(record.trainer.get("steps", 0)),
        adapt=adapt,
    )
