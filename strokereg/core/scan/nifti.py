"""Read and write one volume, with clear errors and no half-written files."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from strokereg.core.scan.content import ITK, NIBABEL, Note, damaged, open_image
from strokereg.core.scan.placement import MNI, Form, is_sheared, nearest_rectangular, read_placement
from strokereg.core.storage.files import replacing
from strokereg.core.storage.search import search
from strokereg.registry.errors import FileFault, InputError

#: Largest difference between the affines of one grid in mm, in addition to 10⁻⁵ of each entry.
GRID_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Volume:
    """A 3D scan as stored: `data` [X, Y, Z] float32 and the 4×4 `affine` (voxel → mm, RAS+).

    Attributes:
        placed: the file has a sform or qform; without one the affine is a guess from the voxel size.
        notes: what the owner of the file should know, such as forms that contradict.
        in_mni: the image is in MNI space, by its name (`space-MNI…`) or its header.
    """

    data: np.ndarray
    affine: np.ndarray
    path: Path
    placed: bool = True
    notes: tuple[Note, ...] = ()
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


def read_volume(path: Path | str, volume: int | Sequence[int] | None = None, prefer: Form = "sform") -> Volume:
    """Read an image as float32 with its scaling applied; a 4D file of one volume counts as 3D.

    NIfTI is read, and the formats of `core.scan.content`.

    Args:
        volume: index of the volume in a 4D file, from 0; several give their geometric mean; None if the file holds one
            volume.
        prefer: the form of the header to use where sform and qform contradict.

    Raises:
        FileFault: missing, a pointer, not an image, truncated, not 3D, colours or complex numbers, no voxel size,
            singular affine, NaN or infinite voxels.
    """
    path = Path(path)
    opened = open_image(path)
    image = opened.image
    shape = tuple(int(n) for n in image.shape)
    several = len(shape) > 3 and any(n != 1 for n in shape[3:])
    if len(shape) < 3 or 0 in shape or (len(shape) > 4 and several) or (several and volume is None):
        fault = f"its shape is {shape}"
        fix = "extract one volume first" if len(shape) > 2 else "save a slice as a volume of one"
        raise FileFault(path, fault, f"a 3D volume is needed, so {fix}")
    for number in () if volume is None else (volume,) if isinstance(volume, int) else volume:
        if several and not 0 <= number < shape[3]:
            raise FileFault(path, f"holds {shape[3]} volumes and no number {number}", "count from 0")
    data = _voxels(path, image, volume if several else None)
    place = read_placement(path, opened, prefer)
    if not np.isfinite(data).all():
        raise FileFault(path, "holds NaN or infinite voxels", "replace them before use")
    notes = (*opened.notes, *place.notes)
    return Volume(data.reshape(shape[:3]), place.affine, path, place.given, notes, place.in_mni)


def _voxels(path: Path, image: Any, volume: int | Sequence[int] | None) -> np.ndarray:
    try:
        with np.errstate(all="ignore"):  # values that overflow become infinite, which is refused below
            if isinstance(volume, Sequence):
                return geometric_mean(np.asarray(image.dataobj[..., v], dtype=np.float32) for v in volume)
            stored = image.dataobj if volume is None else image.dataobj[..., volume]
            return np.asarray(stored, dtype=np.float32)
    except Exception as error:
        raise damaged(path, error) from error


def geometric_mean(volumes: Iterable[np.ndarray]) -> np.ndarray:
    """Geometric mean of images [X, Y, Z] of several diffusion directions, which is their trace image (float32).

    A voxel that is not positive in one direction becomes 0.
    """
    total, positive, count = None, None, 0
    for volume in volumes:
        logs, above = np.log(np.maximum(volume, np.finfo(np.float32).tiny)), volume > 0
        total, positive = (logs, above) if total is None or positive is None else (total + logs, positive & above)
        count += 1
    if total is None or positive is None:
        raise ValueError("no volume to average")
    return np.where(positive, np.exp(total / count), 0).astype(np.float32)


def write_volume(path: Path | str, data: np.ndarray, affine: np.ndarray, in_mni: bool = False) -> Path:
    """Write [X, Y, Z] data with its affine as NIfTI, to a temporary file that is then renamed.

    The affine is written as sform and as qform; a qform cannot hold shear, so there the nearest one without is written.

    Args:
        in_mni: say in the header that the image is in MNI space.

    Raises:
        InputError: the folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    if not path.name.endswith(ENDINGS):
        raise InputError(f"{path}: the output must end in .nii or .nii.gz; rename it")
    image = nib.Nifti1Image(data, affine)  # type: ignore[no-untyped-call, attr-defined]
    image.header.set_xyzt_units("mm")
    code = MNI if in_mni else 1
    image.set_sform(affine, code)  # both, as programs differ in which they read
    image.set_qform(nearest_rectangular(affine) if is_sheared(affine) else affine, code)
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
    if lost_header(first, second):
        fault = f"has the shape of {first.path.name}, but no affine of its own, so its header may be lost"
        raise FileFault(second.path, fault, "import it with --trust-shape if it was made on that image")
    if first.data.shape != second.data.shape:
        fault = f"shape {second.data.shape} against {first.data.shape}"
    elif not np.allclose(first.affine, second.affine, atol=tolerance):
        fault = f"affines differ by up to {np.abs(first.affine - second.affine).max():.3g} mm"
    else:
        return
    raise FileFault(
        second.path, f"lies on another grid than {first.path.name} ({fault})", "resample it onto that image first"
    )


def lost_header(first: Volume, second: Volume) -> bool:
    """True if the second volume has the shape of the first, and the identity affine, which another program left."""
    alike = first.data.shape == second.data.shape and not np.allclose(first.affine, second.affine, atol=GRID_TOLERANCE)
    return alike and (np.allclose(np.abs(second.affine), np.eye(4)) or not second.placed)


ENDINGS = (".nii.gz", ".nii")
#: Endings of images that are read; those that are not NIfTI are written as NIfTI when they are imported.
READ = (*ENDINGS, *NIBABEL, *ITK)


def ending_of(path: Path) -> str | None:
    """The ending of an image, one of `READ` in upper or lower case, or None for another file."""
    return next((ending for ending in READ if path.name.lower().endswith(ending)), None)


def without_ending(path: Path) -> str:
    """The file's name without the ending of an image."""
    return path.name[: len(path.name) - len(ending_of(path) or "")]


def find_images(root: Path, pattern: str) -> list[Path]:
    """Images of every format whose path without ending matches a glob pattern, sorted; hidden files are left out.

    Links are followed, see `core.storage.search`.

    Files that differ in their ending alone follow each other in the order of `READ`.
    """
    found = iterate_images(root, pattern)
    return sorted(found, key=lambda path: (path.parent, without_ending(path), READ.index(str(ending_of(path)))))


def iterate_images(root: Path, pattern: str = "**/*") -> Iterator[Path]:
    """The images of `find_images`, unsorted and one by one."""
    name = re.compile(fnmatch.translate(pattern.rpartition("/")[2]))
    for path in search(root, f"{pattern}.*"):
        if ending_of(path) and not path.name.startswith(".") and name.match(without_ending(path)) and not path.is_dir():
            yield path
