"""Read a folder of lesion masks in MNI space onto one coarse grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strokereg.core.simulate.anatomy import MNI_BOX, load_anatomy
from strokereg.core.simulate.lesions import MniLesion, load_lesion
from strokereg.core.simulate.plan import list_sources
from strokereg.registry.errors import InputError

_MARGIN = 9.0  # mm around the parenchyma's middle 99 %: all of the brain
_MULTIPLE = 8  # so that networks can halve each edge three times
_FEWEST = 20


@dataclass(frozen=True)
class MniGrid:
    """Cubes that cover the MNI brain.

    Attributes:
        spacing: edge of a voxel in mm.
        shape: (Z, Y, X), multiples of eight.
        corner: mm along (R, A, S) of the first voxel's outer corner.
    """

    spacing: float
    shape: tuple[int, int, int]
    corner: np.ndarray

    @classmethod
    def of(cls, spacing: float) -> MniGrid:
        """The smallest such grid, centred on the brain."""
        low, high = MNI_BOX[0] - _MARGIN, MNI_BOX[1] + _MARGIN
        count = np.ceil((high - low) / spacing / _MULTIPLE).astype(int) * _MULTIPLE
        x, y, z = count.tolist()
        return cls(spacing, (z, y, x), (low + high - count * spacing) / 2.0)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return self.spacing**3 / 1000.0

    def voxels(self, points: np.ndarray) -> np.ndarray:
        """MNI mm [N, 3] along (R, A, S) → voxel (z, y, x), int [N, 3], which may lie outside the grid."""
        return np.floor((points - self.corner) / self.spacing).astype(int)[:, ::-1]


def read_masks(
    folder: Path | str, grid: MniGrid, on_file: Callable[[int, int], None] = lambda done, total: None
) -> np.ndarray:
    """Read all masks of a folder: bool [N, Z, Y, X], in the order of the file names; none is empty.

    The volume of each mask is kept, rounded to voxels but at least one: the voxels that the mask fills most are used.

    Args:
        on_file: called with the number of files read and of all files.

    Raises:
        InputError: no folder, fewer than twenty masks, an unusable mask, or one that is coarser than the grid.
    """
    files = list_sources(folder, "--masks")
    if len(files) < _FEWEST:
        raise InputError(f"--masks {folder}: holds {len(files)} masks; at least {_FEWEST} are needed to evaluate with")
    masks = np.zeros((len(files), *grid.shape), dtype=bool)
    for number, path in enumerate(files):
        lesion = load_lesion(path)
        if lesion.spacing.max() > 1.01 * grid.spacing:
            raise InputError(
                f"{path}: its voxels of {lesion.spacing.max():.3g} mm are coarser than the grid; "
                f"ask for --spacing {np.ceil(lesion.spacing.max()):g}"
            )
        masks[number] = _coarse(lesion, grid)
        on_file(number + 1, len(files))
    return masks


def mni_brain(grid: MniGrid) -> np.ndarray:
    """The MNI152 brain on the grid, bool [Z, Y, X]."""
    anatomy = load_anatomy(None)
    ratio = (MNI_BOX[1] - MNI_BOX[0]) / (anatomy.box[1] - anatomy.box[0])
    points = (np.argwhere(anatomy.labels > 0) * anatomy.spacing - anatomy.box[0]) * ratio + MNI_BOX[0]
    share = _gather(points, np.full(len(points), np.prod(anatomy.spacing) / 1000.0), grid)
    return share > 0.5


def _coarse(lesion: MniLesion, grid: MniGrid) -> np.ndarray:
    voxels = np.argwhere(lesion.density > 0.01)
    weight = lesion.density[tuple(voxels.T)] * np.prod(lesion.spacing) / 1000.0
    share = _gather(lesion.corner + voxels * lesion.spacing, weight, grid)
    count = max(1, round(lesion.volume_ml / grid.voxel_ml))
    mask = np.zeros(share.size, dtype=bool)
    mask[np.argsort(-share, axis=None, kind="stable")[:count]] = True
    return mask.reshape(share.shape) & (share > 0)


def _gather(points: np.ndarray, ml: np.ndarray, grid: MniGrid) -> np.ndarray:
    """The filled volume of each voxel, from points [N, 3] in MNI mm that each represent the same volume in ml."""
    voxels = grid.voxels(points)
    inside = ((voxels >= 0) & (voxels < grid.shape)).all(axis=1)
    index = np.ravel_multi_index(tuple(voxels[inside].T), grid.shape)
    full = np.bincount(index, weights=ml[inside] / grid.voxel_ml, minlength=int(np.prod(grid.shape)))
    return full.reshape(grid.shape)
