"""Prepare a cohort for training: check it, bring it onto the network grid, and derive the sizes of networks."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.check import require_sound
from strokereg.core.cohort.cohort import (
    Cohort,
    default_channels,
    has_label_maps,
    require_label_maps,
    require_trainable,
)
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.cohort.labels import BRAIN, LabelTable
from strokereg.core.scan.grid import Channels, Interpolation, Preparation, Scaling
from strokereg.core.storage.cache import cache_folder, digest
from strokereg.core.train.prepared import PreparedCase, fitting_size, prepare_cases
from strokereg.registry.errors import InputError
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem

_MULTIPLE = 16  # networks halve an edge up to four times
_DEFAULT = Preparation()

log = logging.getLogger("strokereg")


class DatasetSettings(Options):
    """How cases are brought before a network.

    Args:
        channels: image contrasts; the first defines the grid. None for dwi, or for the only contrast of a cohort.
        spacing: voxel size of the network grid in mm along R, A, S.
        dims: 2 for axial slices, 3 for volumes.
        patch: size that networks train on in voxels, (Y, X) or (Z, Y, X); None for the whole grid.
        interpolation, scaling: see `core.scan.grid.Preparation`.

    Raises:
        InputError: a spacing that is not positive, or a patch that does not fit `dims`.
    """

    channels: Channels | None = None
    spacing: tuple[float, float, float] = _DEFAULT.spacing
    dims: int = Field(default=2, ge=2, le=3)
    patch: tuple[int, ...] | None = None
    interpolation: Interpolation = _DEFAULT.interpolation
    scaling: Scaling = _DEFAULT.scaling

    @model_validator(mode="after")
    def _possible(self) -> DatasetSettings:
        if min(self.spacing) <= 0:
            raise InputError(f"--spacing {min(self.spacing):g}: the voxel size must be positive; give it in mm")
        if self.patch is not None and (
            len(self.patch) != self.dims or any(n < _MULTIPLE or n % _MULTIPLE for n in self.patch)
        ):
            raise InputError(f"patch {self.patch}: {self.dims} edges are needed, each a multiple of {_MULTIPLE} voxels")
        return self


@dataclass(frozen=True)
class PreparedDataset:
    """A cohort that is ready for training and evaluation.

    Attributes:
        preparation: how scans are brought onto the network grid.
        problem: the sizes that networks are built for.
        table: names of the labels; `BRAIN` for a cohort without tissue label maps.
        train, validation: prepared cases in the order of the split.
        train_files, validation_files, test_files: the files of each part.
        contents: case name → key of its contents.
        facts: name, path, content key, whether simulated, and the fold if any, as runs record them.
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
    settings: DatasetSettings | None = None,
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    tissues_for: Sequence[str] = (),
) -> PreparedDataset:
    """Check a cohort and prepare its training and validation cases, or find them in the cache.

    The network grid is the smallest that holds the brain of every training case.

    Args:
        settings: by default axial slices of 3 mm.
        cache: folder of the prepared cases; by default the one that `strokereg train` and `compare` use.
        on_progress: called with the number of prepared cases and their total.
        tissues_for: architectures that need tissue label maps. If there are none, label maps may be missing.

    Raises:
        InputError: a cohort that cannot be trained on, missing label maps, or a case that cannot be read.
    """
    require_trainable(cohort)
    settings, cache = settings or DatasetSettings(), cache or prepared_folder()
    if tissues_for:
        require_label_maps(cohort, " and ".join(tissues_for))
    train, validation, test = (cohort.part(name) for name in ("train", "val", "test"))
    table = cohort.table
    if table is None or not has_label_maps(cohort):  # the maps of some cases are of no use
        table = BRAIN
        train, validation, test = (
            tuple(replace(case, dseg=None) for case in part) for part in (train, validation, test)
        )
    counter, total = itertools.count(1), len(train) + len(validation)
    on_progress(0, total)
    contents = content_keys([*train, *validation, *test], cache)
    channels = settings.channels or default_channels(cohort)
    if channels != (settings.channels or _DEFAULT.channels):
        log.warning("%s has %s images only, so these are used", cohort.root, channels[0])
    require_sound(cohort, [*train, *validation, *test], channels, contents, cache)
    draft = Preparation(
        channels=channels,
        spacing=settings.spacing,
        multiple=(_MULTIPLE, _MULTIPLE, 1 if settings.dims == 2 else _MULTIPLE),
        interpolation=settings.interpolation,
        scaling=settings.scaling,
    )
    x, y, z = fitting_size(train, draft, cache)
    whole = (y, x) if settings.dims == 2 else (z, y, x)
    preparation = draft.model_copy(update={"size": (x, y, z if settings.dims == 3 else 1)})
    prepared = prepare_cases(
        [*train, *validation], preparation, table, cache, lambda name: on_progress(next(counter), total)
    )
    return PreparedDataset(
        preparation=preparation,
        problem=Problem(
            dims=settings.dims,
            labels=table.count,
            channels=len(channels),
            size=settings.patch or whole,
        ),
        table=table,
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


def prepared_folder() -> Path:
    """Where prepared cases are cached."""
    return cache_folder() / "prepared"
