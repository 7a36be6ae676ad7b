"""Place new lesions by a location prior, which is learned from the training lesions and the same for every generator.

The generator decides the shape of a lesion, and this module its location. Arms therefore differ in the translator,
and not in how well a generator learned locations. Positions are shares of the bounding box of the brain, 0 … 1 on each
axis, so that heads of different size and position can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from strokereg.core.scan.box import Box
from strokereg.core.train.prepared import PreparedCase

SMALLEST = 3  # voxels that a lesion must keep inside parenchyma
_INSIDE = 0.5  # share of a lesion that must lie in parenchyma once it is in its place
_HEIGHT = 0.06  # standard deviation of the height of similar slices, as a share of the brain's height
_JITTER = 0.03  # standard deviation of the random shift, as a share of the edges of the brain's box


@dataclass(frozen=True)
class Prior:
    """Locations of the lesions of the training cases.

    Attributes:
        centres: centroids (z, y, x) as shares of the brain's box, [K, 3]: one per lesion slice (2D) or volume (3D).
        dims: 2 or 3.
    """

    centres: np.ndarray
    dims: int

    def draw(self, rng: np.random.Generator, box: Box, height: float | None = None) -> np.ndarray | None:
        """Draw the centroid of a lesion in voxels (z, y, x); None if no training case has a lesion.

        Args:
            box: box of the brain that gets the lesion.
            height: height of the slice in voxels (2D); training lesions at a similar height are more likely.
        """
        if not len(self.centres):
            return None
        weight = np.ones(len(self.centres))
        if height is not None:
            apart = ((self.centres[:, 0] - box.share(np.array([height, 0.0, 0.0]))[0]) / _HEIGHT) ** 2
            weight = np.exp(-0.5 * (apart - apart.min()))  # the nearest always has weight 1
        centre = self.centres[rng.choice(len(weight), p=weight / weight.sum())].copy()
        if rng.random() < 0.5:  # strokes are as frequent on either side, which a few cases may not show
            centre[2] = 1.0 - centre[2]
        return box.voxels(centre + rng.normal(0.0, _JITTER, 3))


def learn_prior(cases: Sequence[PreparedCase], dims: int) -> Prior:
    """Compute the location prior of training cases."""
    centres = []
    for case in cases:
        box = Box.around(np.asarray(case.labels))
        for z in np.flatnonzero(case.mask.any(axis=(1, 2))) if dims == 2 else [None]:
            voxels = np.argwhere(case.mask if z is None else case.mask[z])
            if len(voxels):
                place = voxels.mean(axis=0)
                centres.append(box.share(place if z is None else np.array([z, *place])))
    return Prior(np.array(centres).reshape(-1, 3), dims)


def remove_lesion(labels: np.ndarray, lesion: int) -> np.ndarray:
    """Fill the lesion of a label map with the nearest tissue, so that another lesion can be placed."""
    with_lesion = np.asarray(labels) == lesion
    if not with_lesion.any():
        return np.array(labels)
    nearest = ndimage.distance_transform_edt(with_lesion | (labels == 0), return_distances=False, return_indices=True)
    filled = np.array(labels)
    filled[with_lesion] = labels[tuple(nearest[:, with_lesion])]
    return filled


def place_mask(mask: np.ndarray, room: np.ndarray, place: np.ndarray | None) -> np.ndarray | None:
    """Move the centroid of a mask to a place, and remove the part outside the parenchyma.

    Args:
        mask: the generated mask, bool [*S].
        room: where a lesion may lie, bool [*S].
        place: new centroid in voxels, one number per axis; None does not move the mask.

    Returns:
        bool [*S]; None if fewer than three voxels or less than half of the mask would remain.
    """
    count = np.count_nonzero(mask)
    if count < SMALLEST:
        return None
    if place is not None:
        mask = shift(mask, np.rint(place - np.argwhere(mask).mean(axis=0)).astype(int))
    inside = mask & room
    kept = np.count_nonzero(inside)
    return inside if kept >= max(SMALLEST, _INSIDE * count) else None


def shift(mask: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Move a mask by whole voxels along each axis. Voxels that leave the grid are lost, and new ones are False."""
    moved = np.zeros_like(mask)
    edges = list(zip(steps.tolist(), mask.shape, strict=True))
    if all(abs(step) < n for step, n in edges):
        target = tuple(slice(max(step, 0), n + min(step, 0)) for step, n in edges)
        source = tuple(slice(max(-step, 0), n - max(step, 0)) for step, n in edges)
        moved[target] = mask[source]
    return moved
