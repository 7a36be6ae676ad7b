"""A cohort made ready for training: checked, prepared, and with the sizes that networks are built for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.check import require_sound
from strokereg.core.cohort.cohort import Cohort, require_trainable
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan import DEFAULT_SPACING
from strokereg.core.scan.grid import Interpolation, Preparation, Scaling
from strokereg.core.storage.cache import digest
from strokereg.core.train.prepared import PreparedCase, fitting_size, prepare_cases
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem

_MULTIPLE = 16  # edges that networks halve up to four times


@dataclass(frozen=True)
class PreparedDataset:
    """What trainings and evaluation need of a cohort.

    Attributes:
        train, validation: prepared cases in the split's order.
        train_files, validation_files, test_files: the files of each part.
        contents: case name → key of its contents.
        facts: name, path, content key, whether simulated and the fold if any, as runs record them.
    """

    preparation: Preparation
    problem: Problem
    table: LabelTable
    train: tuple[PreparedCase, ...]
    validation: tuple[PreparedCase, ...]
    train_files: tuple[CaseFiles, ...]
    validation_files: tuple[CaseFiles, ...]
    test_files: tuple[CaseFiles, ...]
    contents: dict[str, str]
    facts: dict[str, Any]


def prepare_dataset(
    cohort: Cohort,
    channels: tuple[str, ...],
    spacing: tuple[float, float, float],
    dims: int,
    cache: Path,
    on_case: Callable[[str], None] = lambda name: None,
    patch: tuple[int, ...] | None = None,
    interpolation: Interpolation = "linear",
    scaling: Scaling = "median",
) -> PreparedDataset:
    """Check and prepare a cohort; the network grid is the smallest that holds every training brain.

    Args:
        patch: what networks are trained on, (Y, X) or (Z, Y, X) in voxels; None for the whole grid.
        interpolation, scaling: of images; see `core.scan.grid.Preparation`.

    Raises:
        InputError: a cohort that cannot be trained on, a case that cannot be read, or an impossible patch.
    """
    require_trainable(cohort)
    if patch is not None and (len(patch) != dims or any(n < _MULTIPLE or n % _MULTIPLE for n in patch)):
        raise InputError(f"patch {patch}: {dims} edges are needed, each a multiple of {_MULTIPLE} voxels")
    assert cohort.table is not None
    train, validation, test = (cohort.part(name) for name in ("train", "val", "test"))
    contents = content_keys([*train, *validation, *test], cache)
    require_sound(cohort, [*train, *validation, *test], channels, contents, cache)
    along_z = 1 if dims == 2 else _MULTIPLE
    draft = Preparation(
        channels=channels,
        spacing=spacing,
        multiple=(_MULTIPLE, _MULTIPLE, along_z),
        interpolation=interpolation,
        scaling=scaling,
    )
    x, y, z = fitting_size(train, draft, cache)
    preparation = draft.model_copy(update={"size": (x, y, z if dims == 3 else 1)})
    prepared = prepare_cases([*train, *validation], preparation, cohort.table, cache, on_case)
    return PreparedDataset(
        preparation=preparation,
        problem=Problem(
            dims=dims,
            labels=cohort.table.count,
            channels=len(channels),
            size=patch or ((y, x) if dims == 2 else (z, y, x)),
        ),
        table=cohort.table,
        train=tuple(prepared[: len(train)]),
        validation=tuple(prepared[len(train) :]),
        train_files=train,
        validation_files=validation,
        test_files=test,
        contents=contents,
        facts={
            "name": cohort.name,
            "path": str(cohort.root.resolve()),
            "key": digest(contents)[:16],
            "simulated": cohort.simulated,
            **({} if cohort.fold is None else {"fold": cohort.fold}),
        },
    )


def prepare(
    cohort: Path | str,
    *,
    channels: tuple[str, ...] = ("dwi",),
    spacing: tuple[float, float, float] = DEFAULT_SPACING,
    dims: int = 2,
    fold: int | None = None,
    interpolation: Interpolation = "linear",
    scaling: Scaling = "median",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> PreparedDataset:
    """Bring the training and validation cases of a cohort onto the network grid, where training finds them.

    Args:
        channels, spacing, dims, fold, interpolation, scaling: as `train` takes them.

    Raises:
        InputError: a cohort that cannot be trained on.
    """
    import itertools

    from strokereg.core.cohort.cohort import open_cohort, require_trainable
    from strokereg.core.storage.cache import cache_folder
    from strokereg.core.train.dataset import prepare_dataset
    from strokereg.registry.errors import InputError

    if min(spacing) <= 0:
        raise InputError(f"--spacing {min(spacing):g}: a voxel edge in mm is needed; give more than 0")
    opened = open_cohort(cohort, fold)
    require_trainable(opened)
    counter, total = itertools.count(1), sum(len(opened.part(part)) for part in ("train", "val"))
    on_progress(0, total)
    cache = cache_folder() / "prepared"
    return prepare_dataset(
        opened,
        channels,
        spacing,
        dims,
        cache,
        lambda name: on_progress(next(counter), total),
        interpolation=interpolation,
        scaling=scaling,
    )
