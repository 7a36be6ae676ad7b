"""Transfer one case into a cohort: copy or link its files, or rewrite them where that is needed and asked for."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.importing.naming import Visit
from strokereg.core.scan.contrasts import canonical_channels, folder_of
from strokereg.core.scan.grid import brain_median
from strokereg.core.scan.nifti import Volume, check_same_grid, ending_of, read_volume, write_volume
from strokereg.core.scan.units import UNIT, UNITS, unit_of
from strokereg.registry.errors import FileFault


@dataclass(frozen=True)
class ImportSettings:
    """How an import reads and converts files. The cohort's description keeps them, for later calls.

    Attributes:
        reader: name of the reader; None for the one that recognises the folder.
        options: options of the reader.
        link: link the files that can stay as they are (hard links, or symbolic ones to another file system).
        convert_adc: convert ADC maps of another known unit to 10⁻³ mm²/s.
        resample: resample images, masks and label maps onto the grid of the first image where they lie on another one.
        lesion_label: the value that means lesion in the masks; None if they hold 0 and 1.
        channels: contrasts to import, the one that defines the grid first; None for the diffusion images, or for all
            images of a case that has no DWI.
    """

    reader: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    link: bool = False
    convert_adc: bool = False
    resample: bool = False
    lesion_label: int | None = None
    channels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.channels is not None:
            object.__setattr__(self, "channels", canonical_channels(self.channels))

    def plain(self) -> dict[str, Any]:
        """The settings that decide what is in the cohort: all but `link`."""
        options = {key: str(value) for key, value in self.options.items()}
        return {key: value for key, value in asdict(self).items() if key != "link"} | {"options": options}


def transfer(visit: Visit, raw: Path, derived: Path, settings: ImportSettings, labels: bool) -> CaseFiles:
    """Put the files of a visit into two existing folders: images into `raw/dwi` or `raw/anat`, mask and label
    map into `derived`.

    A file is copied or linked byte for byte. It is rewritten if it is one volume of a 4D file, or if a conversion that
    `settings` asks for is needed. Rewritten masks are uint8.

    Args:
        labels: transfer the label map too.

    Raises:
        FileFault: a file that cannot be read, or that needs a conversion that was not asked for.
    """
    files, images = visit.files, {}
    grid = read_volume(files.images[files.first], files.volumes.get(files.first))
    for part, path in files.images.items():
        volume = grid if part == files.first else read_volume(path, files.volumes.get(part))
        rewritten = _convert_image(part, volume, grid, settings)
        if rewritten is None and _is_4d(path):
            rewritten = volume.data
        folder = raw / folder_of(part)
        folder.mkdir(exist_ok=True)
        images[part] = _put(path, folder / f"{visit.stem}_{part}", rewritten, grid.affine, settings.link)
    mask = dseg = None
    if files.mask is not None:
        volume = read_volume(files.mask)
        rewritten = _convert_mask(volume, grid, settings)
        if rewritten is None and _is_4d(files.mask):
            rewritten = volume.data.astype(np.uint8)
        mask = _put(files.mask, derived / f"{visit.stem}_desc-lesion_mask", rewritten, grid.affine, settings.link)
    if files.dseg is not None and labels:
        volume = read_volume(files.dseg)
        rewritten = onto(volume, grid, 0).astype(np.uint16) if settings.resample and _off_grid(volume, grid) else None
        dseg = _put(files.dseg, derived / f"{visit.stem}_dseg", rewritten, grid.affine, settings.link)
    return CaseFiles(visit.name, visit.subject, images, mask, dseg)


def onto(volume: Volume, grid: Volume, order: int) -> np.ndarray:
    """Resample a volume onto the grid of another, zero outside; `order` is 0 for nearest, 1 for linear.

    Returns:
        float32 of the grid's shape.
    """
    matrix = np.linalg.inv(volume.affine) @ grid.affine
    return ndimage.affine_transform(
        volume.data, matrix[:3, :3], matrix[:3, 3], output_shape=grid.data.shape, order=order
    )


def _convert_image(part: str, volume: Volume, grid: Volume, settings: ImportSettings) -> np.ndarray | None:
    """The converted image; None if the file stays as it is."""
    data = onto(volume, grid, 1) if settings.resample and _off_grid(volume, grid) else None
    if part == "adc" and settings.convert_adc and (unit := unit_of(brain_median(volume.data))) != UNIT:
        if unit is None:
            known = ", ".join(UNITS)
            raise FileFault(volume.path, f"its values fit none of the ADC units {known}", "leave --convert-adc out")
        data = (volume.data if data is None else data) * np.float32(UNITS[unit])
    return data


def _convert_mask(volume: Volume, grid: Volume, settings: ImportSettings) -> np.ndarray | None:
    """The converted mask, resampled linearly and cut at 0.5 to keep its volume; None if the file stays as it is."""
    label = settings.lesion_label
    if label is not None:
        volume = Volume((volume.data == label).astype(np.float32), volume.affine, volume.path, volume.placed)
    elif volume.data.max() not in (0, 1) and np.unique(volume.data).size == 2 and volume.data.min() == 0:
        high = volume.data.max()
        raise FileFault(volume.path, f"holds 0 and {high:g}", f"give --lesion-label {high:g} if that is the lesion")
    if settings.resample and _off_grid(volume, grid):
        return (onto(volume, grid, 1) >= 0.5).astype(np.uint8)
    return volume.data.astype(np.uint8) if label is not None else None


def _off_grid(volume: Volume, grid: Volume) -> bool:
    try:
        check_same_grid(grid, volume)
    except FileFault:
        return True
    return False


def _is_4d(path: Path) -> bool:
    return len(nib.load(path).shape) > 3  # type: ignore[attr-defined]


def _put(source: Path, stem: Path, rewritten: np.ndarray | None, affine: np.ndarray, link: bool) -> Path:
    """Put a file under its new name: with its own ending, or `.nii.gz` if it is rewritten."""
    if rewritten is not None:
        return write_volume(stem.with_name(f"{stem.name}.nii.gz"), rewritten, affine)
    target = stem.with_name(stem.name + (ending_of(source) or ".nii"))
    source = source.resolve()
    try:
        if not link:
            shutil.copyfile(source, target)
            return target
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without hard links
            target.symlink_to(source)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise FileFault(source, f"cannot be copied ({error.strerror})", "check its permissions") from error
    return target
