"""Tissue atlas: the share of each tissue at each location of MNI152, mapped onto a brain.

The map is first set by the brain's extent. It is then improved to the affine map under which the tissues that the scan
shows are most likely (the idea of Ashburner and Friston 2005, doi:10.1016/j.neuroimage.2005.02.018, without its warps).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy import ndimage, optimize

from strokereg.core.scan.box import inner_extent
from strokereg.core.simulate.anatomy import (
    CORTEX,
    CSF,
    DEEP,
    LESION,
    MNI_BOX,
    PARENCHYMA,
    VENTRICLE,
    load_anatomy,
)

TISSUES = LESION  # background and five tissues
_STEP = 2  # mm: the grid of the shares
_MARGIN = 20  # mm around the brain
_SPREAD = 3.0  # mm: how far heads differ after an affine map
# Least share of background and of each tissue at any location, as heads differ; small for ventricles and nuclei.
_LEAST = np.array([2e-3, 2e-3, 2e-4, 2e-3, 2e-4, 2e-3], np.float32)[:, None]
# Centres (x, y, z) and radii in MNI mm, on either side.
_STRIATUM = ((25, 2, 1, 10, 20, 13), (13, 14, 5, 8, 11, 13), (15, -2, 18, 7, 16, 8), (9, 11, -7, 5, 6, 5))
_CORE = ((11, -19, 7, 11, 15, 10), (20, -4, -1, 6, 9, 7), (10, -14, -9, 9, 9, 6))
_VENTRICLES = (
    (12, 5, 14, 14, 34, 18),  # frontal horn and body
    (24, -42, 10, 15, 24, 18),  # trigone and occipital horn
    (32, -20, -14, 9, 20, 9),  # temporal horn
    (0, -14, 2, 6, 18, 14),  # third
    (0, -45, -30, 11, 12, 17),  # fourth
)
_CISTERNS = ((0, -42, 0, 12, 14, 12), (0, -15, -22, 14, 18, 10))
#: A scan that shows less of the brain's height, in mm, is a slab: its extent does not tell where it lies.
SLAB_MM = 90.0
_HEIGHTS, _STRETCH = 6.0, 0.3  # of a slab: mm between the heights to try; largest log of the ratio of sizes
_COARSE = 8.0  # mm between the points that the affine map is found on


@dataclass(frozen=True)
class Atlas:
    """Tissue shares on a grid of 2 mm along R, A, S.

    Attributes:
        shares: float32 [6, X, Y, Z], background first; they sum to one.
        box: extent of the middle 99 % of the parenchyma in voxels: [low, high] × 3.
    """

    shares: np.ndarray
    box: np.ndarray

    def at(self, points: np.ndarray) -> np.ndarray:
        """Shares [6, N] at points [3, N] in voxels of this grid; background beyond it."""
        return np.stack(
            [ndimage.map_coordinates(s, points, order=1, cval=float(k == 0)) for k, s in enumerate(self.shares)]
        )

    def on_grid(self, scale: np.ndarray, offset: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Shares [6, *shape] on a grid along the same axes: voxel i lies at scale·i + offset, both [3].

        Interpolation is linear along one axis after the other, which is faster than `at`.
        """
        field = self.shares
        for axis in (2, 0, 1):  # height first, where single slices save most
            edge = field.shape[1 + axis] - 1
            place = np.clip(scale[axis] * np.arange(shape[axis]) + offset[axis], 0.0, edge)
            low = np.minimum(place.astype(int), max(edge - 1, 0))
            part = (place - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
            lower = np.take(field, low, axis=1 + axis)
            field = lower + part * (np.take(field, np.minimum(low + 1, edge), axis=1 + axis) - lower)
        return field

    def slopes_at(self, points: np.ndarray) -> np.ndarray:
        """Derivatives of the shares along the axes, [3, 6, N], at points [3, N]."""
        flat = [
            ndimage.map_coordinates(field, points, order=1) for field in self._slopes.reshape(-1, *self.shares[0].shape)
        ]
        return np.stack(flat).reshape(3, len(self.shares), -1)

    @cached_property
    def _slopes(self) -> np.ndarray:
        return np.stack(np.gradient(self.shares, axis=(1, 2, 3)))


@lru_cache(maxsize=1)
def embedded_atlas() -> Atlas:
    """The atlas made from the MNI152 tissue maps that nilearn ships."""
    head = load_anatomy(None)
    thin = (slice(None, None, _STEP),) * 3
    labels = np.pad(head.labels, _MARGIN)[thin]
    places = head.to_mni(np.indices(labels.shape, dtype=np.float32) * np.float32(_STEP) - np.float32(_MARGIN))
    # Nuclei and ventricles are defined more finely here than in the simulator's head.
    labels[labels == DEEP] = CORTEX
    labels[labels == VENTRICLE] = CSF
    solid = np.isin(labels, PARENCHYMA)
    labels[_within(places, _STRIATUM) & (labels == CORTEX)] = DEEP
    labels[_within(places, _CORE) & solid] = DEEP
    inner = _frequency(_within(places, _VENTRICLES) & ~_within(places, _CISTERNS))
    shares = [_frequency(labels == tissue) for tissue in range(TISSUES)]
    shares[VENTRICLE], shares[CSF] = shares[CSF] * inner, shares[CSF] * (1.0 - inner)
    return Atlas(np.stack(shares), (head.box + _MARGIN) / _STEP)


def _within(places: np.ndarray, ellipsoids: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """Which locations [3, …] in MNI mm lie in an ellipsoid (centre, three radii) or in its mirror image."""
    inside = np.zeros(places.shape[1:], dtype=bool)
    for x, y, z, across, along, up in ellipsoids:
        far = ((abs(places[0]) - x) / across) ** 2 + ((places[1] - y) / along) ** 2 + ((places[2] - z) / up) ** 2
        inside |= far < 1.0
    return inside


def _frequency(member: np.ndarray) -> np.ndarray:
    """How often a location belongs to a structure, over heads that differ by some mm after an affine map."""
    return ndimage.gaussian_filter(member.astype(np.float32), _SPREAD / _STEP)


def map_by_extent(parenchyma: np.ndarray) -> np.ndarray:
    """The map from scan voxels to atlas voxels that matches the middle 99 % of the parenchyma.

    Args:
        parenchyma: bool [X, Y, Z], estimate of grey and white matter in the scan.

    Returns:
        3×4.
    """
    return _match(inner_extent(parenchyma), embedded_atlas().box)


def map_from_mni(to_mni: np.ndarray) -> np.ndarray:
    """The map from scan voxels to atlas voxels, 3×4, of a scan in MNI space.

    Args:
        to_mni: 4×4, scan voxel → MNI mm.
    """
    return _after(_match(MNI_BOX, embedded_atlas().box), to_mni)


def maps_of_slab(brain: np.ndarray, spacing: np.ndarray) -> list[np.ndarray]:
    """Candidate maps for a slab that shows only part of the brain's height: one for each height that it may have.

    The slab's brain is matched with the atlas's at that height by its extent. Heights at which that would stretch the
    brain by more than 30 % are left out.

    Args:
        brain: bool [X, Y, Z] of the slab.
        spacing: voxel edges in mm.

    Returns:
        3×4 each, scan voxel → atlas voxel.
    """
    atlas, own = embedded_atlas(), inner_extent(brain)
    middle, maps = own[:, 2].mean(), []
    for height in np.arange(atlas.box[0, 2], atlas.box[1, 2], _HEIGHTS / _STEP):
        there = inner_extent(atlas.shares[0, :, :, round(height), None] < 0.5)
        plane = _match(own, there)
        plane[2] = (0.0, 0.0, spacing[2] / _STEP, height - middle * spacing[2] / _STEP)
        if np.all(abs(np.log(np.diag(plane)[:2] * _STEP / spacing[:2])) < _STRETCH):
            maps.append(plane)
    return maps or [map_by_extent(brain)]


def _match(own: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The map 3×4 that brings one box, [low, high] × 3, onto another."""
    ratio = (there[1] - there[0]) / np.maximum(own[1] - own[0], 1.0)
    return np.column_stack([np.diag(ratio), there[0] - ratio * own[0]])


def _after(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """One affine map after another, 3×4."""
    return np.column_stack([second[:, :3] @ first[:3, :3], second[:, :3] @ first[:3, 3] + second[:, 3]])


def share_outside(matrix: np.ndarray, brain: np.ndarray) -> float:
    """How much of a brain lies in the atlas's background, 0 … 1, estimated from every 97th voxel.

    Args:
        matrix: 3×4, scan voxel → atlas voxel.
        brain: bool [X, Y, Z].
    """
    return float(embedded_atlas().at(_apply(matrix, np.argwhere(brain)[::97].T))[0].mean())


def place_shares(matrix: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Shares of the five tissues (not background) in each brain voxel, float32 [5, N] that sum to one.

    Args:
        matrix: 3×4, scan voxel → atlas voxel.
        brain: bool [X, Y, Z] with N voxels.
    """
    scale = np.diag(matrix)
    if np.allclose(matrix[:, :3], np.diag(scale), atol=1e-6):
        shares = embedded_atlas().on_grid(scale, matrix[:, 3], brain.shape)[1:, brain]
    else:
        shares = embedded_atlas().at(_apply(matrix, np.argwhere(brain).T))[1:]
    shares += _LEAST[1:]
    return shares / shares.sum(axis=0)


def align(matrix: np.ndarray, brain: np.ndarray, likelihood: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Improve a map from scan to atlas by maximum likelihood.

    Args:
        matrix: 3×4, scan voxel → atlas voxel, to start from.
        brain: bool [X, Y, Z] with N voxels.
        likelihood: [5, N] of each tissue given the intensities of each voxel, up to a factor per voxel.
        spacing: voxel edges of the scan in mm.

    Returns:
        3×4; an affine map that differs from the first by moderate shear and scale at most.
    """
    atlas = embedded_atlas()
    stride = np.maximum(1, np.rint(_COARSE / spacing)).astype(int)
    # Beyond a slab lies more brain, not background.
    margin = [
        (0 if count * edge < SLAB_MM else int(np.ceil(8.0 / edge)),) * 2
        for count, edge in zip(brain.shape, spacing, strict=True)
    ]
    inside = np.pad(brain, margin)
    index = np.pad(np.cumsum(brain.ravel()).reshape(brain.shape) - 1, margin)
    thin = tuple(slice(None, None, step) for step in stride)
    chosen = inside[thin].ravel()
    grid = np.indices(inside.shape)[(slice(None), *thin)].reshape(3, -1) - np.array([[m[0]] for m in margin])
    seen = likelihood[:, index[thin].ravel()[chosen]]
    seen = seen / np.maximum(seen.sum(axis=0), 1e-30)
    start = _apply(matrix, grid)
    centre = atlas.box.mean(axis=0)[:, None]
    half = (atlas.box[1] - atlas.box[0])[:, None] / 2.0

    spread = (start - centre) / half

    def unlikely(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the mean log likelihood of the points, and its derivatives."""
        change = parameters.reshape(3, 4)
        moved = start + 0.1 * half * (change[:, :3] @ spread) + change[:, 3:]
        shares, slopes = atlas.at(moved) + _LEAST, atlas.slopes_at(moved)
        value, slope = shares[0], slopes[:, 0]
        value[chosen] = (shares[1:, chosen] * seen).sum(axis=0)
        slope[:, chosen] = (slopes[:, 1:, chosen] * seen).sum(axis=1)
        pull = slope / value
        gradient = np.column_stack([0.1 * half * (pull @ spread.T), pull.sum(axis=1)]).ravel()
        # A weak penalty on the change: tilts and shears of a few per cent are common, larger ones are not.
        penalty = 0.01 / 12.0
        return (
            -float(np.log(value).mean()) + penalty * float((parameters**2).sum()),
            -gradient / len(chosen) + 2.0 * penalty * parameters,
        )

    found = optimize.minimize(unlikely, np.zeros(12), jac=True, method="L-BFGS-B", options={"maxiter": 40}).x
    change = found.reshape(3, 4)
    linear = np.eye(3) + 0.1 * half * change[:, :3] / half.T
    offset = centre - linear @ centre + change[:, 3:]
    return np.column_stack([linear @ matrix[:, :3], linear @ matrix[:, 3:] + offset])


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return matrix[:, :3] @ points + matrix[:, 3:]
