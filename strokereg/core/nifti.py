"""Reading and writing one NIfTI volume, with clear errors and no half-written files."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from strokereg.core.errors import InputError
from strokereg.core.files import replacing


@dataclass(frozen=True)
class Volume:
    """A 3D scan as stored: `data` [X, Y, Z] float32 and the 4×4 `affine` (voxel → mm, RAS+)."""

    data: np.ndarray
    affine: np.ndarray
    path: Path

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel edge lengths in mm along the stored axes."""
        edges = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return tuple(float(e) for e in edges)  # type: ignore[return-value]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0


def read_volume(path: Path | str) -> Volume:
    """Read a NIfTI file as float32 with its scaling applied; a 4D file of one volume counts as 3D.

    Raises:
        InputError: missing, not NIfTI, truncated, not 3D, colours or complex numbers, singular affine, NaN or
            infinite voxels.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a NIfTI image (.nii or .nii.gz)")
    try:
        image = nib.load(path)  # type: ignore[attr-defined]
        shape = tuple(image.shape)  # type: ignore[attr-defined]
        kind = image.get_data_dtype()  # type: ignore[attr-defined]
        if kind.kind not in "iuf":
            raise InputError(f"{path}: its voxels are of type {kind}; give an image of plain numbers")
        data = np.asarray(image.dataobj, dtype=np.float32)  # type: ignore[attr-defined]
        affine = np.asarray(image.affine, dtype=np.float64)  # type: ignore[attr-defined]
    except nib.filebasedimages.ImageFileError as error:
        raise InputError(f"{path}: not a NIfTI image; give a .nii or .nii.gz file") from error
    except (OSError, EOFError, ValueError, zlib.error, MemoryError, OverflowError) as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"{path}: damaged or truncated ({reason}); copy the file again") from error
    if data.ndim > 3 and all(n == 1 for n in shape[3:]):
        data = data.reshape(shape[:3])
    if data.ndim != 3 or 0 in data.shape:
        raise InputError(f"{path}: its shape is {shape}; a 3D volume is needed, so extract one volume first")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(f"{path}: its affine cannot be inverted; repair the sform or qform")
    if not np.isfinite(data).all():
        raise InputError(f"{path}: holds NaN or infinite voxels; replace them before use")
    return Volume(data, affine, path)


def write_volume(path: Path | str, data: np.ndarray, affine: np.ndarray) -> Path:
    """Write [X, Y, Z] data with its affine as NIfTI: to a temporary name first, then renamed.

    Raises:
        InputError: the folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{path}: the output must end in .nii or .nii.gz")
    image = nib.Nifti1Image(data, affine)  # type: ignore[no-untyped-call, attr-defined]
    image.header.set_xyzt_units("mm")
    try:
        with replacing(path) as temporary:
            nib.save(image, temporary)  # type: ignore[attr-defined]
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error
    return path


def check_same_grid(first: Volume, second: Volume, tolerance: float = 1e-3) -> None:
    """Refuse two volumes that do not share one grid (shape equal, affines within `tolerance` mm).

    Raises:
        InputError: names both files and what differs.
    """
    if first.data.shape != second.data.shape:
        fault = f"shape {second.data.shape} against {first.data.shape}"
    elif not np.allclose(first.affine, second.affine, atol=tolerance):
        fault = f"affines differ by up to {np.abs(first.affine - second.affine).max():.3g} mm"
    else:
        return
    raise InputError(
        f"{second.path}: lies on another grid than {first.path} ({fault}); resample it onto that image first"
    )
