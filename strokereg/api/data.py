"""The commands of `strokereg data`, each in one call: bring in, check, draw, label, prepare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.api.sources import look_into, read_folder, read_source

if TYPE_CHECKING:
    from strokereg.core.checks.whole import Checked
    from strokereg.core.grid import Interpolation, Scaling
    from strokereg.core.intake.run import Imported
    from strokereg.core.ready import Ready
    from strokereg.core.tissue.cohort import Labelled

Progress = Callable[[int, int], None]


def import_data(
    folder: Path | str,
    out: Path | str,
    reader: str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    link: bool = False,
    convert_adc: bool = False,
    resample: bool = False,
    lesion_label: int | None = None,
    on_case: Callable[[int, int], None] = lambda done, total: None,
) -> Imported:
    """Bring a folder of any known layout into a cohort; called again, it takes what is missing.

    Args:
        folder: the source, which is never altered.
        out: cohort folder, new or begun by an earlier call with the same settings.
        reader, options: see `read_source`.
        link: link files (hard, or symbolic to another file system) where they can stay as they are.
        convert_adc: turn ADC maps of a known unit into 10⁻³ mm²/s.
        resample: bring masks, label maps and ADC onto the grid of the DWI where they lie on another one.
        lesion_label: the value that means lesion in the masks; None where they hold 0 and 1.
        on_case: told how many cases are done, and of how many.

    Raises:
        InputError: see `read_source`; also an output folder that holds something else or cannot be written.
    """
    from strokereg.core.intake.run import Settings, import_source

    name, source = read_source(folder, reader, options)
    settings = Settings(
        reader=name,
        options={key: str(value) for key, value in (options or {}).items()},
        link=link,
        convert_adc=convert_adc,
        resample=resample,
        lesion_label=lesion_label,
    )
    return import_source(Path(folder), source, Path(out), settings, on_case)


def check_data(folder: Path | str, on_case: Callable[[str, int], None] = lambda name, total: None) -> Checked:
    """Look for every fault of a cohort, or of a folder that a reader recognises.

    Args:
        on_case: told of each case that is done, and of how many.

    Raises:
        InputError: a folder that is no cohort, or without cases.
    """
    from strokereg.core.cache import cache_folder
    from strokereg.core.checks.whole import check_cohort
    from strokereg.core.cohort import cohort_of

    root, _, source = look_into(folder)
    cohort = cohort_of(root, source, split=False)
    total = len(cohort.cases)
    return check_cohort(cohort, cache_folder() / "prepared", lambda name: on_case(name, total))


def draw_data(folder: Path | str, path: Path | str) -> Path:
    """Draw each case's slice with the largest lesion area, outlined, on one sheet.

    Raises:
        InputError: a folder that is no cohort, no readable case, or a file that cannot be written.
    """
    from strokereg.core.checks.sheet import draw_cases

    return draw_cases(read_folder(folder).cases, Path(path))


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
    fold: int | None = None,
    interpolation: Interpolation = "linear",
    scaling: Scaling = "median",
    on_progress: Progress = lambda done, total: None,
) -> Ready:
    """Bring the training and validation cases of a cohort onto the network grid, where training finds them.

    Args:
        channels, spacing, dims, fold, interpolation, scaling: as `train` takes them.

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
    opened = open_cohort(cohort, fold)
    require_trainable(opened)
    counter, total = itertools.count(1), sum(len(opened.part(part)) for part in ("train", "val"))
    on_progress(0, total)
    cache = cache_folder() / "prepared"
    return make_ready(
        opened,
        channels,
        spacing,
        dims,
        cache,
        lambda name: on_progress(next(counter), total),
        interpolation=interpolation,
        scaling=scaling,
    )
