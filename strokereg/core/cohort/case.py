"""A case: one subject, one visit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.contrasts import canonical, canonical_channels
from strokereg.core.scan.grid import foreground
from strokereg.core.scan.nifti import Volume, check_same_grid, read_volume
from strokereg.core.scan.series import read_image
from strokereg.registry.errors import FileFault, InputError


@dataclass(frozen=True)
class CaseFiles:
    """Paths of the parts of a case.

    Attributes:
        name: subject, with the session if there is one: `sub-0001_ses-0001`.
        subject: what splits go by.
        images: contrast → file; the first image defines the grid. Contrasts are written as BIDS has them, whatever the
            case of the letters that are given.
        mask: lesion mask, or None.
        dseg: tissue label map, or None.
        volumes: contrast → index of its volume, from 0, for an image in a 4D file.
    """

    name: str
    subject: str
    images: dict[str, Path]
    mask: Path | None = None
    dseg: Path | None = None
    volumes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        images = {canonical(name): path for name, path in self.images.items()}
        adc_last = sorted(images, key=lambda name: name == "adc")  # a map defines the grid only if there is no image
        object.__setattr__(self, "images", {name: images[name] for name in adc_last})
        object.__setattr__(self, "volumes", {canonical(name): index for name, index in self.volumes.items()})

    @property
    def first(self) -> str:
        """The contrast that defines the grid."""
        return next(iter(self.images))

    @property
    def parts(self) -> dict[str, Path]:
        """Every file by part: the contrasts, `mask` and `dseg`, as far as they exist."""
        optional = {"mask": self.mask, "dseg": self.dseg}
        return {**self.images, **{part: path for part, path in optional.items() if path is not None}}


@dataclass(frozen=True)
class Case:
    """A case in memory, on the scan's own grid.

    Attributes:
        images: contrast → volume [X, Y, Z]; the first one defines the grid.
        mask: lesion, bool [X, Y, Z], or None.
        labels: tissue labels with the lesion as the table's last label, uint8 [X, Y, Z], or None.
    """

    name: str
    images: dict[str, Volume]
    mask: np.ndarray | None
    labels: np.ndarray | None

    @property
    def reference(self) -> Volume:
        """The first image, which defines the case's grid."""
        return next(iter(self.images.values()))


def read_case(files: CaseFiles, channels: tuple[str, ...] | None = None, table: LabelTable | None = None) -> Case:
    """Read a case and check that its parts belong together.

    Args:
        channels: contrasts to read, the one that defines the grid first; None for the case's first.
        table: label table of the label map; without it, no label map is read.

    Raises:
        InputError: an unknown or missing contrast, a mask that is not binary, a part on another grid, a stray label.
    """
    channels = canonical_channels(channels or (files.first,))
    for channel in channels:
        if channel not in files.images:
            raise InputError(
                f"{files.name}: has no {channel} image, but {' and '.join(files.images)}; "
                f"add it or leave {channel} out of the channels"
            )
    images = {name: read_image(files.images[name], name, files.volumes.get(name)) for name in channels}
    reference = images[channels[0]]
    for volume in images.values():
        check_same_grid(reference, volume)
    mask = labels = None
    if files.mask is not None:
        mask_volume = read_volume(files.mask)
        check_same_grid(reference, mask_volume)
        check_mask(mask_volume)
        mask = mask_volume.data > 0
    if files.dseg is not None and table is not None:
        dseg = read_volume(files.dseg)
        check_same_grid(reference, dseg)
        check_labels(dseg, table)
        labels = dseg.data.astype(np.uint8)
        if mask is not None:
            labels[mask] = table.lesion
    return Case(files.name, images, mask, labels)


def label_map(case: Case, table: LabelTable) -> np.ndarray:
    """The labels of a case that was read with this table, uint8 [X, Y, Z].

    Without a tissue label map they are brain, found by intensity, and lesion, the labels of `BRAIN`.
    """
    if case.labels is not None:
        return case.labels
    labels = foreground(case.reference.data).astype(np.uint8)
    if case.mask is not None:
        labels[case.mask] = table.lesion
    return labels


def check_mask(mask: Volume) -> None:
    """Refuse a lesion mask with other values than 0 and 1.

    Raises:
        FileFault: names the first values.
    """
    if not ((mask.data == 0) | (mask.data == 1)).all():
        values = ", ".join(f"{value:g}" for value in np.unique(mask.data)[:5])
        raise FileFault(mask.path, f"a lesion mask holds 0 and 1 only, this one {values} …", "threshold it")


def check_labels(dseg: Volume, table: LabelTable) -> None:
    """Refuse a label map with fractions or with labels that are not in the table.

    Raises:
        FileFault: names them.
    """
    if not np.array_equal(dseg.data, np.round(dseg.data)):
        raise FileFault(dseg.path, "a label map holds whole numbers only", "use nearest-neighbour resampling")
    table.check(dseg.data, dseg.path)
