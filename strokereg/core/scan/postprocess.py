"""Lesion probability → lesion mask, on the scan's own grid. No torch here: the runtime uses it too.

Evaluation and the deployed runtime call the same function, so a threshold chosen on validation cases has the same
meaning in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel

NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)  # 26: voxels that share a face, an edge or a corner


class Postprocessing(BaseModel):
    """How a segmenter's probabilities become a mask; threshold and smallest lesion are chosen on validation cases.

    Args:
        threshold: least probability of a lesion voxel.
        smallest_ml: connected components (26 neighbours) below this volume are dropped.
        flips: probabilities are the mean over the image and its left-right mirror image.
    """

    threshold: float = 0.5
    smallest_ml: float = 0.0
    flips: bool = False


def lesions(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Label the connected components (26 neighbours) of a mask [X, Y, Z].

    Returns:
        int32 [X, Y, Z] with 0 outside and 1 … n inside, and n.
    """
    from scipy import ndimage  # here, because it is half of the runtime's start-up

    return ndimage.label(mask, structure=NEIGHBOURS)  # type: ignore[return-value]


def postprocess(probability: np.ndarray, postprocessing: Postprocessing, voxel_ml: float) -> np.ndarray:
    """Probability [X, Y, Z] → bool mask [X, Y, Z]: threshold, then drop components that are too small.

    Args:
        probability: in [0, 1], on the scan's grid.
        postprocessing: the threshold and the smallest component to keep.
        voxel_ml: volume of one voxel in ml.
    """
    mask = probability >= postprocessing.threshold
    if postprocessing.smallest_ml <= 0.0:
        return mask
    numbered, count = lesions(mask)
    return _large(np.bincount(numbered.ravel(), minlength=count + 1), postprocessing.smallest_ml, voxel_ml)[numbered]


def dice_of_rules(
    probability: np.ndarray,
    truth: np.ndarray,
    thresholds: Sequence[float],
    smallest_ml: Sequence[float],
    voxel_ml: float,
) -> np.ndarray:
    """Dice of many postprocessing rules: components are labelled once per threshold, not once per rule.

    Args:
        probability, truth: [X, Y, Z].

    Returns:
        float64 [thresholds, smallest_ml]: equal to `dice(postprocess(…), truth)` for each rule.
    """
    real, found = int(truth.sum()), np.empty((len(thresholds), len(smallest_ml)))
    for row, threshold in zip(found, thresholds, strict=True):
        numbered, count = lesions(probability >= threshold)
        voxels = np.bincount(numbered.ravel(), minlength=count + 1)
        hits = np.bincount(numbered[truth], minlength=count + 1)
        for column, smallest in enumerate(smallest_ml):
            keep = _large(voxels, smallest, voxel_ml)
            both = int(voxels[keep].sum()) + real
            row[column] = 2.0 * int(hits[keep].sum()) / both if both else 1.0
    return found


def _large(voxels: np.ndarray, smallest_ml: float, voxel_ml: float) -> np.ndarray:
    """Which components, by number, are large enough; 0 is the background."""
    # A small tolerance keeps a component of exactly the smallest volume, however the affine is rounded.
    keep = voxels * voxel_ml >= smallest_ml * (1.0 - 1e-6)
    keep[0] = False
    return keep


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Dice of two bool masks of one shape, 0 … 1; two empty masks give 1."""
    both = int(prediction.sum()) + int(truth.sum())
    return 2.0 * int((prediction & truth).sum()) / both if both else 1.0
