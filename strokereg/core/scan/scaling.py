"""Intensity scaling: raw intensities → [-1, 1], by statistics of the brain's voxels. No torch here.

The statistics of a volume are an input of the exported graph, so that training, evaluation and the runtime scale in
the same way. With every scaling, a voxel without signal (0 or below) becomes -1.
"""

from __future__ import annotations

import numpy as np

from strokereg.core.scan.grid import Preparation, brain_median, foreground
from strokereg.core.scan.nifti import Volume
from strokereg.registry.errors import InputError

MEDIAN = 100.0  # intensity of the brain's median in written images; like a scanner's, it has no unit
SPREAD = 1.4826  # median absolute deviation → standard deviation, for normally distributed values


def measure(scan: Volume, preparation: Preparation) -> np.ndarray:
    """Statistics that scale a volume: the brain's median, float32 [], or the values that become -1 and 1, float32 [2].

    Raises:
        InputError: no positive voxels, or a brain with one intensity only.
    """
    median = brain_median(scan.data)
    if not median > 0.0:
        raise InputError(f"{scan.path}: holds no positive voxels; give an image with the brain in it")
    if preparation.scaling == "median":
        return np.array(median, dtype=np.float32)
    brain = scan.data[foreground(scan.data)].astype(np.float64)
    if preparation.scaling == "zscore":
        spread = SPREAD * np.median(np.abs(brain - median))
        limits = median + spread * np.array(preparation.deviations)
    else:
        limits = np.percentile(brain, preparation.percentiles)
    found = limits.astype(np.float32)
    if not found[1] > found[0]:
        raise InputError(
            f"{scan.path}: its brain has one intensity almost everywhere, so it cannot be scaled by "
            f"{preparation.scaling}; choose --scaling median, or check the file"
        )
    return found


def normalise(image: np.ndarray, measured: np.ndarray, preparation: Preparation) -> np.ndarray:
    """Intensities → float32 in [-1, 1] of the same shape; values outside are clipped.

    Args:
        measured: statistics of the whole volume that the image belongs to; see `measure`.
    """
    if preparation.scaling == "median":
        low, high = 0.0, preparation.ceiling * float(measured)
    else:
        low, high = map(float, measured)
    scaled = np.clip((image - low) * (2.0 / (high - low)) - 1.0, -1.0, 1.0)
    return np.where(image > 0, scaled, -1.0).astype(np.float32)


def signal(image: np.ndarray, brain: np.ndarray, preparation: Preparation) -> np.ndarray:
    """Synthetic image in [-1, 1] → intensities like a scanner's: 0 is no signal, 100 the brain's median.

    Args:
        brain: bool, of the image's shape; only used if the scaling does not fix the median.
    """
    rising = image + 1.0
    if preparation.scaling == "median":
        return rising * (preparation.ceiling * MEDIAN / 2.0)
    inside = rising[brain]
    return rising * (MEDIAN / max(float(np.median(inside)), 1e-6)) if inside.size else rising
