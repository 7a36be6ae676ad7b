"""Sliding windows: run a network on pieces of the size it was trained on. No torch here: the runtime uses it too.

A scan that fits into one window is run in one piece. A larger scan is covered with overlapping windows. Each voxel is
the mean of its windows, weighted by a Gaussian around the window's centre, where the network sees most context
(Isensee 2021, nnU-Net). Voxels at the border are included, memory does not grow with the scan, and networks of a fixed
input size work. Windows are never larger than the training size, because instance norm and position encodings would
get statistics and positions that they were not trained for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

#: Windows [n, C, *patch] → lesion probability [n, 1, *patch].
Run = Callable[[np.ndarray], np.ndarray]

OVERLAP = 0.5  # least overlap of neighbouring windows, as a share of the window's edge
SIGMA = 1 / 8  # of the Gaussian, as a share of the window's edge; both as in nnU-Net
SLICES = 16  # slices per call: enough to keep the cores busy, with little memory


def slide(
    run: Run,
    image: np.ndarray,
    patch: tuple[int, ...],
    flips: bool = False,
    overlap: float = OVERLAP,
    sigma: float = SIGMA,
) -> np.ndarray:
    """Lesion probability of a scan on its network grid.

    Args:
        run: the network; called with at most 16 windows in 2D, with one in 3D.
        image: [C, Z, Y, X] in canonical order.
        patch: size of the windows, (Y, X) for axial slices or (Z, Y, X); a window is never larger than the image.
        flips: average the probabilities of the image and of its left-right mirror image, the one symmetry that brains
            have and that training uses.
        overlap, sigma: overlap of neighbouring windows and width of the Gaussian, as shares of a window's edge.

    Returns:
        float32 [Z, Y, X] in [0, 1].
    """
    items = image.transpose(1, 0, 2, 3) if len(patch) == 2 else image[None]
    size = items.shape[2:]
    windows = [_windows(edge, min(edge, want), overlap, sigma) for edge, want in zip(size, patch, strict=True)]
    blended = np.zeros((len(items), *size), dtype=np.float32)
    for part in _parts(len(items), SLICES if len(patch) == 2 else 1):
        for places in itertools.product(*windows):
            where = (part, *(place for place, _ in places))
            weight = _outer([weight for _, weight in places])
            blended[where] += _call(run, items[(part, slice(None), *where[1:])], flips) * weight
    return blended.reshape(image.shape[1:])


def _call(run: Run, windows: np.ndarray, flips: bool) -> np.ndarray:
    """Probability [n, *patch]; the last axis runs from left to right."""
    probability = run(np.ascontiguousarray(windows))
    if flips:
        probability = (probability + run(np.ascontiguousarray(windows[..., ::-1]))[..., ::-1]) / 2
    return probability[:, 0]


def _windows(edge: int, patch: int, overlap: float, sigma: float) -> list[tuple[slice, np.ndarray]]:
    """Positions of the windows along an edge, and their weights, which sum to one at every voxel."""
    count = 1 if edge == patch else 1 + int(np.ceil((edge - patch) / (patch * (1.0 - overlap))))
    starts = np.round(np.linspace(0, edge - patch, count)).astype(int)
    bell = np.exp(-0.5 * ((np.arange(patch) - (patch - 1) / 2) / (sigma * patch)) ** 2)
    total = np.zeros(edge)
    for start in starts:
        total[start : start + patch] += bell
    # The Gaussian of a box is a product over the axes, and so is the sum over all boxes: each axis is independent.
    places = [slice(start, start + patch) for start in starts.tolist()]
    return [(place, (bell / total[place]).astype(np.float32)) for place in places]


def _outer(weights: list[np.ndarray]) -> np.ndarray:
    whole = weights[0]
    for weight in weights[1:]:
        whole = whole[..., None] * weight
    return whole


def _parts(count: int, most: int) -> Iterator[slice]:
    return (slice(start, min(count, start + most)) for start in range(0, count, most))
