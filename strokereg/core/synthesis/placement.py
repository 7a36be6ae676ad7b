"""Where a new lesion goes: a location prior learned from the training lesions, the same for every generator.

A generator draws how a lesion looks; where it lies is decided here, so that arms differ in the translator and not in
how well a generator happened to learn the place. Positions are counted along the brain's box, 0 … 1 on each axis,
which makes heads of different size and framing comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strokereg.core.scan.box import Box
from strokereg.core.train.prepared import PreparedCase

SMALLEST = 3  # voxels that a lesion must keep inside parenchyma
_INSIDE = 0.5  # share of a lesion that must lie in parenchyma once it is in its place
_HEIGHT = 0.06  # how alike in height two slices must be, standard deviation as share of the brain's height
_JITTER = 0.03  # of the place, standard deviation as share of the brain's edge


@dataclass(frozen=True)
class Prior:
    """Where the lesions of the training cases lie.

    Attributes:
        centres: centroids (z, y, x) as shares of the brain's box, [K, 3]: one a lesion slice (2D) or volume (3D).
        dims: 2 or 3.
    """

    centres: np.ndarray
    dims: int

    def draw(self, rng: np.random.Generator, box: Box, height: float | None = None) -> np.ndarray | None:
        """A place for a lesion's centroid, in voxels (z, y, x); None where no training case has a lesion.

        Args:
            box: of the brain that the lesion goes into.
            height: of the slice in voxels (2D); training lesions at a like height are likelier.
        """
        if not len(self.centres):
            return None
        weight = np.ones(len(self.centres))
        if height is not None:
            apart = ((self.centres[:, 0] - box.share(np.array([height, 0.0, 0.0]))[0]) / _HEIGHT) ** 2
            weight = np.exp(-0.5 * (apart - apart.min()))  # the nearest counts, however far it is
        centre = self.centres[rng.choice(len(weight), p=weight / weight.sum())].copy()
        if rng.random() < 0.5:  # strokes have no side, and few cases should not give them one
            centre[2] = 1.0 - centre[2]
        return box.voxels(centre + rng.normal(0.0, _JITTER, 3))


def learn_prior(cases: Sequence[PreparedCase], dims: int) -> Prior:
    """The location prior of training cases."""
    centres = []
    for case in cases:
        box = Box.around(np.asarray(case.labels))
        for z in np.flatnonzero(case.mask.any(axis=(1, 2))) if dims == 2 else [None]:
            voxels = np.argwhere(case.mask if z is None else case.mask[z])
            if len(voxels):
                place = voxels.mean(axis=0)
                centres.append(box.share(place if z is None else np.array([z, *place])))
    return Prior(np.array(centres).reshape(-1, 3), dims)


def place_mask(mask: np.ndarray, room: np.ndarray, place: np.ndarray | None) -> np.ndarray | None:
    """Move a mask so that its centroid comes to a place, and cut it to parenchyma.

    Args:
        mask, room: bool [*S]: as drawn; where a lesion may lie.
        place: of the centroid in voxels, as long as the mask has axes; None leaves the mask where it is.

    Returns:
        bool [*S], or None where the mask does not fit: fewer than three voxels or less than half of it inside.
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
    """Move a mask by whole voxels along each axis; what leaves the grid is gone, nothing comes in."""
    moved = np.zeros_like(mask)
    edges = list(zip(steps.tolist(), mask.shape, strict=True))
    if all(abs(step) < n for step, n in edges):
        target = tuple(slice(max(step, 0), n + min(step, 0)) for step, n in edges)
        source = tuple(slice(max(-step, 0), n - max(step, 0)) for step, n in edges)
        moved[target] = mask[source]
    return moved
