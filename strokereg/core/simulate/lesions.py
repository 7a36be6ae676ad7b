"""Lesion masks for a simulated head: taken from MNI space, or grown at random inside the parenchyma."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from strokereg.core.scan.box import extent
from strokereg.core.scan.nifti import read_volume
from strokereg.core.simulate.anatomy import MNI_BOX
from strokereg.core.simulate.fields import smooth_field
from strokereg.registry.errors import InputError

_FEWEST_VOXELS = 2
_SMOOTHING_MM = 1.5  # masks drawn on thick slices are blocky


@dataclass(frozen=True)
class MniLesion:
    """A lesion mask in MNI space, smoothed and cropped.

    Attributes:
        density: float32 [X, Y, Z] along R, A, S, 0 … 1; its sum is the number of lesion voxels.
        corner: MNI mm of the first voxel's centre.
        spacing: voxel edges in mm.
        volume_ml: of the mask as drawn.
    """

    density: np.ndarray
    corner: np.ndarray
    spacing: np.ndarray
    volume_ml: float

    @property
    def is_slice(self) -> bool:
        """True for a single axial slice, which cannot be placed in a volume."""
        return self.density.shape[2] == 1

    @property
    def centre(self) -> np.ndarray:
        """Centre of the crop in MNI mm."""
        return self.corner + self.spacing * (np.array(self.density.shape) - 1) / 2.0


@lru_cache(maxsize=4)
def load_lesion(path: Path) -> MniLesion:
    """Read a lesion mask in MNI space, on any grid.

    Raises:
        InputError: unreadable, empty, not a mask, or not within the MNI brain.
    """
    volume = read_volume(path)
    if not (volume.data > 0).any():
        raise InputError(f"{path}: the lesion mask is empty; remove the file or give masks with a lesion")
    if len(np.unique(volume.data)) > 2:
        raise InputError(f"{path}: holds more than two values; give a lesion mask of 0 and 1")
    mask = volume.data > 0
    where = extent(mask)
    middle = volume.affine @ np.array([*(pair.mean() for pair in where), 1.0])
    if (middle[:3] < MNI_BOX[0] - 15).any() or (middle[:3] > MNI_BOX[1] + 15).any():
        shown = ", ".join(f"{v:.0f}" for v in middle[:3])
        raise InputError(
            f"{path}: the lesion's middle lies at ({shown}) mm, outside the MNI brain; normalise the mask to MNI space"
        )
    # A single slice is not smoothed across itself, which would thin it out.
    flat = np.array(volume.data.shape) == 1
    pad = [0 if one else int(np.ceil(4 * _SMOOTHING_MM / edge)) for edge, one in zip(volume.spacing, flat, strict=True)]
    inner = np.pad(mask[tuple(slice(lo, hi + 1) for lo, hi in where)], [(p, p) for p in pad]).astype(np.float32)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([pair[0] - p for pair, p in zip(where, pad, strict=True)], dtype=float)
    image = nib.as_closest_canonical(nib.Nifti1Image(inner, affine))  # type: ignore
    spacing = np.array(image.header.get_zooms()[:3], dtype=float)  # type: ignore
    inner = np.asarray(image.dataobj)  # type: ignore
    smooth = ndimage.gaussian_filter(inner, np.where(np.array(inner.shape) == 1, 0.0, _SMOOTHING_MM / spacing))
    corner = np.asarray(image.affine)[:3, 3]  # type: ignore
    return MniLesion(smooth, corner, spacing, float(mask.sum()) * volume.voxel_ml)


def place_lesion(
    rng: np.random.Generator, lesion: MniLesion, mni_points: np.ndarray, parenchyma: np.ndarray
) -> np.ndarray:
    """Place a lesion from MNI space in a head, mirrored at random and slightly shifted, within the parenchyma.

    Args:
        rng: source of all random numbers.
        lesion: the mask in MNI space.
        mni_points: float32 [3, X, Y, Z], MNI mm of the scan's voxels.
        parenchyma: bool [X, Y, Z], where a lesion may lie; Z is 1 for a lesion that is a single slice.

    Returns:
        bool [X, Y, Z] with at least two voxels.
    """
    mirror, shift = rng.choice([-1.0, 1.0]), rng.normal(0, 2.0, 3)
    density = np.zeros(parenchyma.shape, dtype=np.float32)
    points = mni_points[:, parenchyma]
    index = np.empty(points.shape)
    for axis in range(3):
        position = points[axis] * mirror if axis == 0 else points[axis]
        index[axis] = (position + shift[axis] - lesion.corner[axis]) / lesion.spacing[axis]
    if lesion.is_slice:
        index[2] = 0.0
    density[parenchyma] = ndimage.map_coordinates(lesion.density, index, order=1)
    # The densest voxels, as many as the density sums to: small lesions are kept, blocky ones get round.
    count = max(_FEWEST_VOXELS, round(float(density.sum())))
    if np.count_nonzero(density) >= count:
        return _best(density, count)
    return _best(_nearness(mni_points, lesion.centre * (mirror, 1, 1)) * parenchyma, count)


def draw_volume(rng: np.random.Generator) -> float:
    """Draw a lesion volume in ml: log-normal, median 9, from 0.1 to 250; SOOP's spread with more small ones."""
    return float(np.clip(np.exp(rng.normal(np.log(9.0), 1.9)), 0.1, 250.0))


def grow_lesion(
    rng: np.random.Generator, volume_ml: float, mni_points: np.ndarray, parenchyma: np.ndarray, voxel_ml: float
) -> np.ndarray:
    """Grow a lesion of one to four pieces, mostly in one hemisphere: smooth blobs and cortical wedges.

    Args:
        rng: source of all random numbers.
        volume_ml: target volume; reached exactly if there is enough parenchyma.
        mni_points: float32 [3, X, Y, Z], MNI mm of the scan's voxels.
        parenchyma: bool [X, Y, Z], where a lesion may lie.
        voxel_ml: volume of a voxel.

    Returns:
        bool [X, Y, Z] with at least two voxels.
    """
    pieces = int(rng.choice([1, 2, 3, 4], p=[0.4, 0.25, 0.2, 0.15]))
    shares = np.sort(rng.dirichlet(np.full(pieces, 0.8)))[::-1]
    points = mni_points[:, parenchyma]
    side = rng.choice([-1.0, 1.0])
    taken = np.zeros(points.shape[1], dtype=bool)
    home: np.ndarray | None = None
    for share in shares:
        count = max(_FEWEST_VOXELS, round(volume_ml * float(share) / voxel_ml))
        # Emboli scatter within one territory, and sometimes to the other side.
        here = side if rng.random() < 0.85 else -side
        free = np.flatnonzero((points[0] * here > 1.0) & ~taken)
        if free.size == 0:
            continue
        local = points[:, free]
        seed = _seed(rng, local, home)
        home = seed if home is None else home
        rough = smooth_field(rng, parenchyma.shape, 8.0 / (voxel_ml * 1000) ** (1 / 3))[parenchyma][free]
        wedge = volume_ml * share > 3.0 and rng.random() < 0.5
        far = _wedge(rng, local, seed, here) if wedge else _blob(rng, local, seed)
        order = np.argsort(far * np.exp(0.25 * rough), kind="stable")
        taken[free[order[:count]]] = True
    mask = np.zeros(parenchyma.shape, dtype=bool)
    mask[parenchyma] = taken
    return mask


def _seed(rng: np.random.Generator, points: np.ndarray, home: np.ndarray | None) -> np.ndarray:
    """One of the points [3, N]: any for the first piece, then one within centimetres of it or of its mirror image."""
    if home is None:
        return points[:, int(rng.integers(points.shape[1]))].astype(float)
    mirrored = home * (np.sign(points[0, 0] * home[0]), 1, 1)
    apart = ((points - mirrored[:, None]) ** 2).sum(axis=0)
    reach = np.cumsum(np.exp(-apart / (2 * 25.0**2)) + 1e-9)
    return points[:, min(int(np.searchsorted(reach, rng.random() * reach[-1])), reach.size - 1)].astype(float)


def _blob(rng: np.random.Generator, points: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Distance from the seed, stretched at random along the axes."""
    stretch = np.exp(rng.normal(0, 0.3, 3)).astype(np.float32)
    return np.sqrt((((points - seed[:, None]) * stretch[:, None]) ** 2).sum(axis=0))


def _wedge(rng: np.random.Generator, points: np.ndarray, seed: np.ndarray, side: float) -> np.ndarray:
    """Angle from a ray that starts deep in the hemisphere, so that the base of the wedge lies on the cortex."""
    apex = np.array((side * 18.0, -15.0, 15.0)) + rng.normal(0, 4.0, 3)
    rays = points - apex[:, None].astype(np.float32)
    length = np.sqrt((rays**2).sum(axis=0)) + 1e-3
    towards = seed - apex
    cosine = (rays * (towards / (np.linalg.norm(towards) + 1e-3))[:, None].astype(np.float32)).sum(axis=0) / length
    return (1.0 - cosine) + 0.05 + 0.5 * np.clip(1.0 - length / 18.0, 0.0, 1.0)


def _nearness(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + ((points - centre[:, None, None, None].astype(np.float32)) ** 2).sum(axis=0))


def _best(score: np.ndarray, count: int) -> np.ndarray:
    """The `count` voxels with the highest score; ties by position, so that the choice is reproducible."""
    mask = np.zeros(score.size, dtype=bool)
    mask[np.argsort(-score, axis=None, kind="stable")[:count]] = True
    return mask.reshape(score.shape)
