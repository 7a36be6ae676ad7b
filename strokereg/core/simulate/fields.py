"""Smooth random fields for warps, textures, coil shading and lesion outlines."""

from __future__ import annotations

import numpy as np

# Standard deviation of unit noise after a cubic B-spline along one axis: the root of 151/315.
_SHRINK = (151.0 / 315.0) ** 0.5


def smooth_field(rng: np.random.Generator, shape: tuple[int, int, int], scale: float) -> np.ndarray:
    """Draw a smooth Gaussian field: a cubic B-spline over a coarse lattice of unit noise.

    Args:
        rng: drawn from once, so the field is reproducible.
        shape: [X, Y, Z] of the field.
        scale: lattice spacing in voxels, about the size of the details.

    Returns:
        float32 [X, Y, Z] with mean about 0 and standard deviation about 1.
    """
    field = rng.standard_normal([int(np.ceil(n / scale)) + 3 for n in shape], dtype=np.float32)
    for axis, size in enumerate(shape):
        field = _refine(field, axis, size, scale)
    return field / np.float32(_SHRINK**3)


def _refine(lattice: np.ndarray, axis: int, size: int, scale: float) -> np.ndarray:
    """Evaluate the spline along one axis. Plain sums, no BLAS: the same bits on any number of threads."""
    where = np.arange(size) / scale
    start = where.astype(np.intp)
    t = (where - start).astype(np.float32)
    weights = ((1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6)
    along = [1, 1, 1]
    along[axis] = size
    total = weights[0].reshape(along) * lattice.take(start, axis)
    for tap in (1, 2, 3):
        total += weights[tap].reshape(along) * lattice.take(start + tap, axis)
    return total
