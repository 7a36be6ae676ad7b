"""Corresponding places in two brains that are not registered, from the extents of the brains."""

from __future__ import annotations

import numpy as np

from strokereg.core.scan.box import Box
from strokereg.registry.errors import InputError


def same_place(point: np.ndarray, here: np.ndarray, there: np.ndarray, mirrored: bool = False) -> np.ndarray:
    """Map a voxel position (z, y, x) from one brain to another, linearly along each edge of their bounding boxes.

    Args:
        here, there: label maps [Z, Y, X] of the two brains.
        mirrored: map to the other hemisphere.

    Raises:
        InputError: a label map holds only background.
    """
    if not (here.any() and there.any()):
        raise InputError("a label map holds no brain; correct the dseg files of the cohort")
    share = Box.around(here).share(np.asarray(point, dtype=float))
    if mirrored:
        share[2] = 1.0 - share[2]
    return Box.around(there).voxels(share)
