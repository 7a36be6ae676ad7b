"""How well a predicted lesion mask matches the true one, for one case.

Conventions, where the literature has several:

- Lesions are 26-connected components. A true lesion is found, and a predicted lesion is correct, if it shares any
  voxel with the other mask (ISLES'22: Hernandez Petzsche et al., Sci Data 2022, doi:10.1038/s41597-022-01875-5).
- A surface is the mask's voxels that touch the outside by a face; distances run between voxel centres.
  HD95 is the larger of the two directed 95th percentiles; surface Dice at a tolerance is after Nikolov et al.
  (J Med Internet Res 2021, doi:10.2196/26151).
- If both masks are empty, Dice, F1 and surface Dice are 1 and HD95 is 0. If one is empty, these scores are 0, and
  HD95 is None, because no distance exists; means of HD95 leave such cases out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import ndimage
from scipy.spatial import KDTree

from strokereg.core.scan.postprocess import Postprocessing, lesions
from strokereg.core.train.validation import Prediction
from strokereg.registry.errors import InputError

TOLERANCE_MM = 2.0


class CaseMetrics(BaseModel):
    """Scores of one case.

    Attributes:
        dice, lesion_f1, surface_dice: 0 … 1; surface Dice at 2 mm.
        volume_difference_ml: absolute difference of the two volumes.
        count_difference: absolute difference of the numbers of lesions.
        hd95_mm: None where exactly one of the masks is empty.
        volume_ml, predicted_ml: true and predicted lesion volume.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dice: float
    lesion_f1: float
    volume_difference_ml: float
    count_difference: int
    hd95_mm: float | None
    surface_dice: float
    volume_ml: float
    predicted_ml: float


def score(prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float]) -> CaseMetrics:
    """Score a predicted lesion mask.

    Args:
        prediction, truth: bool [X, Y, Z] on the same grid.
        spacing: voxel size in mm along X, Y, Z.

    Raises:
        InputError: the masks differ in shape or are not three-dimensional.
    """
    if prediction.shape != truth.shape or truth.ndim != 3:
        raise InputError(
            f"a prediction of shape {prediction.shape} cannot be compared with a mask of shape {truth.shape}; "
            "give two volumes on the same grid"
        )
    box = _box(prediction | truth)
    called, real = prediction[box], truth[box]
    n_called, n_real = int(np.count_nonzero(called)), int(np.count_nonzero(real))
    ml = float(np.prod(spacing)) / 1000.0
    f1, lesions_called, lesions_real = _lesions(called, real)
    hd95, surface_dice = _surfaces(called, real, spacing)
    return CaseMetrics(
        dice=_ratio(2 * int(np.count_nonzero(called & real)), n_called + n_real),
        lesion_f1=f1,
        volume_difference_ml=abs(n_called - n_real) * ml,
        count_difference=abs(lesions_called - lesions_real),
        hd95_mm=hd95,
        surface_dice=surface_dice,
        volume_ml=n_real * ml,
        predicted_ml=n_called * ml,
    )


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds the mask; the complete array if the mask is empty."""
    spans = []
    for axis in range(mask.ndim):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if filled.size == 0:
            return tuple(slice(None) for _ in mask.shape)
        spans.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(spans)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _lesions(called: np.ndarray, real: np.ndarray) -> tuple[float, int, int]:
    """Lesion-wise F1 and the numbers of predicted and of true lesions."""
    called_parts, n_called = lesions(called)
    real_parts, n_real = lesions(real)
    shared = called & real
    found = len(np.unique(real_parts[shared]))
    wrong = n_called - len(np.unique(called_parts[shared]))
    return _ratio(2 * found, found + n_real + wrong), n_called, n_real


def _surfaces(called: np.ndarray, real: np.ndarray, spacing: Sequence[float]) -> tuple[float | None, float]:
    """HD95 in mm and surface Dice."""
    a, b = _surface(called, spacing), _surface(real, spacing)
    if len(a) == 0 or len(b) == 0:
        return (0.0, 1.0) if len(a) == len(b) else (None, 0.0)
    # Surfaces hold few points, so a tree is several times faster than distance transforms of the box.
    there, back = KDTree(b).query(a)[0], KDTree(a).query(b)[0]
    near = TOLERANCE_MM + 1e-9  # a voxel at exactly the tolerance is within it, whatever the rounding
    within = int(np.count_nonzero(there <= near)) + int(np.count_nonzero(back <= near))
    hd95 = float(max(np.percentile(there, 95), np.percentile(back, 95)))
    return hd95, within / (len(there) + len(back))


def _surface(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Surface points in mm, [N, 3]."""
    inner = ndimage.binary_erosion(mask)  # voxels beyond the box count as outside
    return np.argwhere(mask & ~inner) * np.asarray(spacing, dtype=float)


def score_case(evaluated: Prediction, postprocessing: Postprocessing) -> CaseMetrics:
    """All metrics of one case."""
    return score(evaluated.mask(postprocessing), evaluated.truth, evaluated.reference.spacing)
