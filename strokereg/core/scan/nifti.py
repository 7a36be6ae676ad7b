"""Read and write one NIfTI volume, with clear errors and no half-written files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from strokereg.core.storage.files import replacing
from strokereg.registry.errors import FileFault, InputError

#: Largest difference between the affines of one grid in mm, in addition to 10⁻⁵ of each entry.
GRID_TOLERANCE = 1e-3
_MNI = 4  # NIfTI's code for MNI152
_GZIP_BEST = 1100  # deflate compresses by a factor of 1032 at most, so a header that claims more is wrong


@dataclass(frozen=True)
class Volume:
    """A 3D scan as stored: `data` [X, Y, Z] float32 and the 4×4 `affine` (voxel → mm, RAS+).

    Attributes:
        placed: the file has a sform or qform; without one the affine is a guess from the voxel size.
        in_mni: the image is in MNI space, by its name (`space-MNI…`) or its header.
    """

    data: np.ndarray
    affine: np.ndarray
    path: Path
    placed: bool = True
    in_mni: bool = False

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel edge lengths in mm along the stored axes."""
        edges = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return tuple(float(e) for e in edges)  # type: ignore[return-value]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0


def read_volume(path: Path | str, volume: int | None = None) -> Volume:
    """Read a NIfTI file as float32 with its scaling applied; a 4D file of one volume counts as 3D.

    Args:
        volume: index of the volume in a 4D file, from 0; None if the file holds one volume.

    Raises:
        FileFault: missing, not NIfTI, truncated, not 3D, colours or complex numbers, singular affine, NaN or
            infinite voxels.
    """
    path = Path(path)
    if not path.is_file():
        if path.is_symlink():
            raise FileFault(path, "is a link to a file that is not here", "fetch it, for instance with 'datalad get'")
        raise FileFault(path, "no such file", "give the path of a NIfTI image (.nii or .nii.gz)")
    image = _open(path)
    shape = tuple(int(n) for n in image.shape)
    several = len(shape) > 3 and any(n != 1 for n in shape[3:])
    if len(shape) < 3 or 0 in shape or (len(shape) > 4 and several) or (several and volume is None):
        fault = f"its shape is {shape}"
        raise FileFault(path, fault, "a 3D volume is needed, so extract one volume first")
    if several and volume is not None and not 0 <= volume < shape[3]:
        raise FileFault(path, f"holds {shape[3]} volumes and no number {volume}", "count from 0")
    data = _voxels(path, image, volume if several else None)
    affine = _affine(path, image)
    if not np.isfinite(data).all():
        raise FileFault(path, "holds NaN or infinite voxels", "replace them before use")
    return Volume(data.reshape(shape[:3]), affine, path, bool(_forms(image)), _in_mni(path, image))


def _open(path: Path) -> Any:
    ending = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix
    if ending not in (ending.lower(), ending.upper()):  # nibabel would look for another file
        raise FileFault(path, f"its ending {ending} mixes upper and lower case", "rename it to .nii or .nii.gz")
    try:
        image: Any = nib.load(path)  # type: ignore[attr-defined]
        shape, kind = image.shape, image.get_data_dtype()
        claimed = float(np.prod([float(n) for n in shape])) * kind.itemsize
    except nib.filebasedimages.ImageFileError as error:
        with path.open("rb") as handle:
            start = handle.read(2)
        if start in (b"", b"\x1f\x8b"):  # empty, or gzip that ends before the header does
            raise _damaged(path, error) from error
        raise FileFault(path, "not a NIfTI image", "give a .nii or .nii.gz file") from error
    except Exception as error:  # nibabel raises errors of every kind for a damaged header
        raise _damaged(path, error) from error
    if kind.kind not in "iuf":
        raise FileFault(path, f"its voxels are of type {kind}", "give an image of plain numbers")
    files = [
        Path(part.filename) for part in image.file_map.values() if part.filename
    ]  # a .hdr has its voxels in an .img
    size = sum(file.stat().st_size for file in files if file.is_file())
    packed = path.suffix.lower() in (".gz", ".bz2", ".zst", ".mgz")
    # Before memory is allocated: a damaged header can claim terabytes.
    if claimed > size * (_GZIP_BEST if packed else 1):
        fault = f"damaged or truncated (its header claims {claimed / 1e6:.3g} MB of voxels, more than it can hold)"
        raise FileFault(path, fault, "copy the file again")
    return image


def _voxels(path: Path, image: Any, volume: int | None) -> np.ndarray:
    try:
        with np.errstate(all="ignore"):  # values that overflow become infinite, which is refused below
            stored = image.dataobj if volume is None else image.dataobj[..., volume]
            return np.asarray(stored, dtype=np.float32)
    except Exception as error:
        raise _damaged(path, error) from error


def _affine(path: Path, image: Any) -> np.ndarray:
    affine = np.asarray(image.affine, dtype=np.float64)
    with np.errstate(all="ignore"):
        sound = affine.shape == (4, 4) and np.isfinite(affine).all()
        volume = abs(np.linalg.det(affine[:3, :3])) if sound else 0.0
    if not np.isfinite(volume) or volume < 1e-9:
        raise FileFault(path, "its affine cannot be inverted", "repair the sform or qform")
    return affine


def _forms(image: Any) -> list[int]:
    """Codes of the image's sform and qform as far as they are set; a format without such codes counts as scanner."""
    if not isinstance(image.header, nib.Nifti1Header):
        return [1]
    codes = (int(image.header[f"{form}_code"]) for form in ("sform", "qform"))  # type: ignore[no-untyped-call]
    return [code for code in codes if code > 0]


def _in_mni(path: Path, image: Any) -> bool:
    return "_space-mni" in path.name.lower() or _forms(image)[:1] == [_MNI]


def _damaged(path: Path, error: Exception) -> FileFault:
    if isinstance(error, PermissionError):
        return FileFault(path, "cannot be read (permission denied)", "check its permissions")
    reason = str(error).split("\n")[0].replace(str(path), path.name) or type(error).__name__
    return FileFault(path, f"damaged or truncated ({reason})", "copy the file again")


def write_volume(path: Path | str, data: np.ndarray, affine: np.ndarray) -> Path:
    """Write [X, Y, Z] data with its affine as NIfTI, to a temporary file that is then renamed.

    Raises:
        InputError: the folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    if not path.name.endswith(ENDINGS):
        raise InputError(f"{path}: the output must end in .nii or .nii.gz; rename it")
    image = nib.Nifti1Image(data, affine)  # type: ignore[no-untyped-call, attr-defined]
    image.header.set_xyzt_units("mm")
    try:
        with replacing(path) as temporary:
            nib.save(image, temporary)  # type: ignore[attr-defined]
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error
    return path


def check_same_grid(first: Volume, second: Volume, tolerance: float = GRID_TOLERANCE) -> None:
    """Refuse two volumes on different grids (other shapes, or affines that differ by more than `tolerance` mm).

    Raises:
        FileFault: about the second volume; names both files and the difference.
    """
    if first.data.shape != second.data.shape:
        fault = f"shape {second.data.shape} against {first.data.shape}"
    elif not np.allclose(first.affine, second.affine, atol=tolerance):
        fault = f"affines differ by up to {np.abs(first.affine - second.affine).max():.3g} mm"
    else:
        return
    raise FileFault(
        second.path, f"lies on another grid than {first.path.name} ({fault})", "resample it onto that image first"
    )


ENDINGS = (".nii.gz", ".nii")


def ending_of(path: Path) -> str | None:
    """`.nii.gz` or `.nii`, in upper or lower case, or None for another file."""
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)


def without_ending(path: Path) -> str:
    """The file's name without `.nii.gz` or `.nii`."""
    return path.name[: len(path.name) - len(ending_of(path) or "")]
