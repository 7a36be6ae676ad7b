"""The same place in two brains that are not registered, by the extents of the brains."""

from __future__ import annotations

import numpy as np

from strokereg.core.scan.box import Box
from strokereg.registry.errors import InputError


def same_place(point: np.ndarray, here: np.ndarray, there: np.ndarray, mirrored: bool = False) -> np.ndarray:
    """A voxel position (z, y, x) in one brain → the position as far along each edge of the other brain's box.

    Args:
        here, there: label maps [Z, Y, X] of the two.
        mirrored: go to the other hemisphere: x counts from the other end.

    Raises:
        InputError: a label map that is background only.
    """
    if not (here.any() and there.any()):
        raise InputError("a label map holds no brain; correct the cohort's dseg files")
    share = Box.around(here).share(np.asarray(point, dtype=float))
    if mirrored:
        share[2] = 1.0 - share[2]
    return Box.around(there).voxels(share)
