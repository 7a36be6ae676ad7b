"""The same place in two brains that are not registered, by the extents of the brains."""

from __future__ import annotations

import numpy as np

from strokereg.core.errors import InputError


def brain_box(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last voxel of the brain along each axis of a label map [Z, Y, X].

    Raises:
        InputError: a label map that is background only.
    """
    inside = labels > 0
    if not inside.any():
        raise InputError("a label map holds no brain; correct the cohort's dseg files")
    ends = [np.flatnonzero(inside.any(axis=tuple(b for b in range(3) if b != a)))[[0, -1]] for a in range(3)]
    low, high = np.array(ends, dtype=float).T
    return low, high


def same_place(point: np.ndarray, here: np.ndarray, there: np.ndarray, mirrored: bool = False) -> np.ndarray:
    """A voxel position (z, y, x) in one brain → the position as far along each edge of the other brain's box.

    Args:
        here, there: label maps [Z, Y, X] of the two.
        mirrored: go to the other hemisphere: x counts from the other end.
    """
    low, high = brain_box(here)
    share = (np.asarray(point, dtype=float) - low) / np.maximum(high - low, 1.0)
    if mirrored:
        share[2] = 1.0 - share[2]
    low, high = brain_box(there)
    return low + share * (high - low)
