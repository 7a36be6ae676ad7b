"""One case on its way into the cohort: files copied, linked or, only where that is asked for, written anew."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
from scipy import ndimage

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.importing.naming import Visit
from strokereg.core.cohort.importing.settings import Settings
from strokereg.core.scan.nifti import Volume, check_same_grid, ending_of, read_volume, write_volume
from strokereg.core.scan.units import UNIT, UNITS, unit_of
from strokereg.registry.errors import FileFault


def transfer(visit: Visit, raw: Path, derived: Path, settings: Settings, labels: bool) -> CaseFiles:
    """Put the files of a visit into two folders that exist: images into one, mask and label map into the other.

    A file is copied or linked as it is, byte for byte. It is written anew where one volume of a 4D file is meant, and
    where conversion, resampling or a lesion label were asked for and are needed; masks as uint8.

    Args:
        labels: take the label map too.

    Raises:
        FileFault: a file that cannot be read, or that needs what was not asked for.
    """
    files, settled = visit.files, {}
    dwi = read_volume(files.images["dwi"], files.volumes.get("dwi"))
    for part, path in files.images.items():
        volume = dwi if part == "dwi" else read_volume(path, files.volumes.get(part))
        anew = _changed(part, volume, dwi, settings)
        if anew is None and _is_4d(path):
            anew = volume.data
        settled[part] = _put(path, raw / f"{visit.name}_{part}", anew, dwi.affine, settings.link)
    mask = dseg = None
    if files.mask is not None:
        volume = read_volume(files.mask)
        anew = _mask(volume, dwi, settings)
        if anew is None and _is_4d(files.mask):
            anew = volume.data.astype(np.uint8)
        mask = _put(files.mask, derived / f"{visit.name}_desc-lesion_mask", anew, dwi.affine, settings.link)
    if files.dseg is not None and labels:
        volume = read_volume(files.dseg)
        anew = onto(volume, dwi, 0).astype(np.uint16) if settings.resample and _elsewhere(volume, dwi) else None
        dseg = _put(files.dseg, derived / f"{visit.name}_dseg", anew, dwi.affine, settings.link)
    return CaseFiles(visit.name, visit.subject, settled, mask, dseg)


def onto(volume: Volume, grid: Volume, order: int) -> np.ndarray:
    """A volume resampled onto another's grid, zero outside: order 0 nearest, 1 linear.

    Returns:
        float32 of the grid's shape.
    """
    matrix = np.linalg.inv(volume.affine) @ grid.affine
    return ndimage.affine_transform(
        volume.data, matrix[:3, :3], matrix[:3, 3], output_shape=grid.data.shape, order=order
    )


def _changed(part: str, volume: Volume, dwi: Volume, settings: Settings) -> np.ndarray | None:
    """The image as it was asked for, or None where it stays as it is."""
    data = onto(volume, dwi, 1) if settings.resample and _elsewhere(volume, dwi) else None
    if part == "adc" and settings.convert_adc and (unit := unit_of(volume.data)) != UNIT:
        if unit is None:
            known = ", ".join(UNITS)
            raise FileFault(volume.path, f"its values fit none of the ADC units {known}", "leave --convert-adc out")
        data = (volume.data if data is None else data) * np.float32(UNITS[unit])
    return data


def _mask(volume: Volume, dwi: Volume, settings: Settings) -> np.ndarray | None:
    """The mask as it was asked for: resampled linearly and cut at a half, so that its volume is kept best."""
    label = settings.lesion_label
    if label is not None:
        volume = Volume((volume.data == label).astype(np.float32), volume.affine, volume.path, volume.placed)
    elif volume.data.max() not in (0, 1) and np.unique(volume.data).size == 2 and volume.data.min() == 0:
        high = volume.data.max()
        raise FileFault(volume.path, f"holds 0 and {high:g}", f"give --lesion-label {high:g} if that is the lesion")
    if settings.resample and _elsewhere(volume, dwi):
        return (onto(volume, dwi, 1) >= 0.5).astype(np.uint8)
    return volume.data.astype(np.uint8) if label is not None else None


def _elsewhere(volume: Volume, grid: Volume) -> bool:
    try:
        check_same_grid(grid, volume)
    except FileFault:
        return True
    return False


def _is_4d(path: Path) -> bool:
    import nibabel as nib

    return len(nib.load(path).shape) > 3  # type: ignore[attr-defined]


def _put(source: Path, stem: Path, anew: np.ndarray | None, affine: np.ndarray, link: bool) -> Path:
    """The file under its new name, with the ending that it had, or `.nii.gz` where it is written."""
    if anew is not None:
        return write_volume(stem.with_name(f"{stem.name}.nii.gz"), anew, affine)
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
        raise FileFault(source, f"cannot be taken over ({error.strerror})", "see whether you may read it") from error
    return target
