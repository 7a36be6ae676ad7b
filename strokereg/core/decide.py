"""From lesion probability to lesion mask, on the scan's own grid. No torch here: the runtime uses it too.

Training-side judging and the deployed runtime call the same function, so a threshold chosen on validation
cases means the same thing at the bedside.
"""

from __future__ import annotations

import numpy as np

from strokereg.core.record import Decision

NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)  # 26: voxels that touch by a face, an edge or a corner


def lesions(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the connected components (26 neighbours) of a mask [X, Y, Z].

    Returns:
        int32 [X, Y, Z] with 0 outside and 1 … n inside, and n.
    """
    from scipy import ndimage  # here, because it is half of the runtime's start-up

    return ndimage.label(mask, structure=NEIGHBOURS)  # type: ignore[return-value]


def decide(probability: np.ndarray, decision: Decision, voxel_ml: float) -> np.ndarray:
    """Probability [X, Y, Z] → bool mask [X, Y, Z]: threshold, then drop components that are too small.

    Args:
        probability: in [0, 1], on the scan's grid.
        decision: voxels from `threshold` on count; components below `smallest_ml` are dropped.
        voxel_ml: volume of one voxel in ml.
    """
    mask = probability >= decision.threshold
    if decision.smallest_ml <= 0.0:
        return mask
    numbered, count = lesions(mask)
    voxels = np.bincount(numbered.ravel(), minlength=count + 1)
    # The small allowance keeps a component of exactly the smallest volume, whatever the affine's rounding.
    keep = voxels * voxel_ml >= decision.smallest_ml * (1.0 - 1e-6)
    keep[0] = False
    return keep[numbered]


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Overlap of two bool masks of one shape, 0 … 1; two empty masks agree."""
    both = int(prediction.sum()) + int(truth.sum())
    return 2.0 * int((prediction & truth).sum()) / both if both else 1.0
