"""What can be done with a cohort on disk, each in one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strokereg.core.ready import Ready
    from strokereg.core.tissue.cohort import Labelled

Progress = Callable[[int, int], None]


def label(
    cohort: Path | str,
    method: str = "hmrf",
    *,
    label_table: Path | str | None = None,
    maps: Path | str | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    on_progress: Progress = lambda done, total: None,
) -> tuple[Labelled, Path]:
    """Give the cases of a cohort that have none their tissue label maps.

    Args: see `core.tissue.cohort.label_cohort`.

    Returns:
        What was done, and a picture sheet to look it over.

    Raises:
        InputError: a cohort that cannot be labelled, or wrong options.
    """
    from dataclasses import replace

    from strokereg.core.cohort import open_cohort
    from strokereg.core.tissue.cohort import label_cohort
    from strokereg.core.tissue.sheet import draw_tissues

    table, folder = (Path(path) if path else None for path in (label_table, maps))
    done = label_cohort(cohort, method, table, folder, overwrite, workers, on_progress)
    sheet = done.folder / "sheet.png"
    cases = [replace(c, dseg=done.maps[c.name]) for c in open_cohort(cohort).cases if c.name in done.maps]
    if cases and (done.made or not sheet.is_file()):
        draw_tissues(cases, done.table, sheet)
    return done, sheet


def prepare(
    cohort: Path | str,
    *,
    channels: tuple[str, ...] = ("dwi",),
    spacing: tuple[float, float, float] = (3.0, 3.0, 3.0),
    dims: int = 2,
    on_progress: Progress = lambda done, total: None,
) -> Ready:
    """Bring the training and validation cases of a cohort onto the network grid, where training finds them.

    Args:
        channels, spacing, dims: as `train` and `compare` take them.

    Raises:
        InputError: a cohort that cannot be trained on.
    """
    import itertools

    from strokereg.core.cache import cache_folder
    from strokereg.core.cohort import open_cohort, require_trainable
    from strokereg.core.errors import InputError
    from strokereg.core.ready import make_ready

    if min(spacing) <= 0:
        raise InputError(f"--spacing {min(spacing):g}: a voxel edge in mm is needed; give more than 0")
    opened = open_cohort(cohort)
    require_trainable(opened)
    counter, total = itertools.count(1), sum(len(opened.part(part)) for part in ("train", "val"))
    on_progress(0, total)
    return make_ready(
        opened, channels, spacing, dims, cache_folder() / "prepared", lambda name: on_progress(next(counter), total)
    )
