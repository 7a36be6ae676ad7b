"""Experiment trackers by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strokereg.core.track import Tracking

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
    from strokereg.core.track import Tracking
    from strokereg.registry.catalogue import trackers
    from strokereg.registry.factory import build_tracker

    entries = {name: trackers().find(name) for name in names}
    built = {name: build_tracker(entry, out / FOLDER / name.replace(":", ".")) for name, entry in entries.items()}
    return Tracking(built, warn or _warn)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, RuntimeWarning, stacklevel=2)
