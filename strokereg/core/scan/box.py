"""The box around a brain or a lesion, which makes positions in different heads comparable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def extent(mask: np.ndarray) -> np.ndarray:
    """First and last voxel of a mask along each axis, int [3, 2]; the mask [I, J, K] must not be empty."""
    return np.array([np.flatnonzero(mask.any(tuple(b for b in range(3) if b != a)))[[0, -1]] for a in range(3)])


def inner_extent(mask: np.ndarray, beyond: float = 0.005) -> np.ndarray:
    """Extent of a mask without a share `beyond` of its voxels at both ends of each axis: [low, high] × 3, in voxels."""
    box = np.empty((2, 3))
    for axis in range(3):
        share = np.cumsum(mask.sum(tuple(b for b in range(3) if b != axis)), dtype=float)
        box[:, axis] = np.searchsorted(share / share[-1], (beyond, 1.0 - beyond))
    return box


@dataclass(frozen=True)
class Box:
    """The brain's first and last voxel along (z, y, x), as floats [3]."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def around(cls, labels: np.ndarray) -> Box:
        """The box around the brain of a label map [Z, Y, X], or around the whole array if it shows no brain."""
        inside = labels > 0
        if not inside.any():
            return cls(np.zeros(3), np.array(labels.shape) - 1.0)
        low, high = extent(inside).T.astype(float)
        return cls(low, high)

    def share(self, voxels: np.ndarray) -> np.ndarray:
        """Voxel positions [..., 3] → positions in the box, 0 … 1 along each edge."""
        return (voxels - self.low) / np.maximum(self.high - self.low, 1.0)

    def voxels(self, share: np.ndarray) -> np.ndarray:
        """Positions in the box → voxel positions; the inverse of `share`."""
        return self.low + share * np.maximum(self.high - self.low, 1.0)
