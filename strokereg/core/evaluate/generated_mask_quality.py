"""How similar generated lesion masks are to real ones, and whether they repeat training masks."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import sparse
from scipy.stats import wasserstein_distance

from strokereg.core.evaluate.generated_mask_metrics import Shape, describe, location

MEASURES = Shape._fields


class MaskScores(BaseModel):
    """One set of masks compared with held-out real masks.

    Attributes:
        name: name of the generator or of the set.
        masks: number of masks. Empty masks count here, but are left out of all other measures.
        empty: share of empty masks.
        volume: 5th, 50th and 95th percentile, ml (2D: mm²).
        distances: measure → Wasserstein distance to the held-out set in standard deviations of that set; 0 is equal.
            The logarithm of the volume is used, because lesions span three orders of magnitude.
        location: total variation between the two location histograms, 0 … 1.
        nearest: median and 95th percentile of the Dice with the most similar training mask; 1 is a copy.
        seconds: time of training and generation.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    masks: int
    empty: float
    volume: tuple[float, float, float]
    distances: dict[str, float | None]
    location: float | None
    nearest: tuple[float, float] | None
    seconds: float | None = None


class MaskReference:
    """Held-out real masks to compare with, and the training masks that a generator must not repeat.

    Args:
        held_out, training: bool [N, *S].
        spacing: voxel edge in mm.
    """

    def __init__(self, held_out: np.ndarray, training: np.ndarray, spacing: float):
        self.spacing = spacing
        self._shapes = self._measure(held_out)
        self._location = location(held_out, spacing)
        self._training = _rows(training)

    def score(self, name: str, masks: np.ndarray, seconds: float | None = None) -> MaskScores:
        """Evaluate a set of masks, bool [N, *S].

        If all masks are empty, there are no distances.
        """
        filled = masks[masks.reshape(len(masks), -1).any(axis=1)]
        empty = 1.0 - len(filled) / len(masks)
        if not len(filled):
            return MaskScores(
                name=name, masks=len(masks), empty=empty, volume=(0.0, 0.0, 0.0),
                distances=dict.fromkeys(MEASURES), location=None, nearest=None,
                seconds=seconds,
            )  # fmt: skip
        shapes = self._measure(filled)
        distances: dict[str, float | None] = {
            measure: float(wasserstein_distance(mine, real) / max(real.std(), 1e-9))
            for measure, mine, real in zip(MEASURES, shapes.T, self._shapes.T, strict=True)
        }
        low, middle, high = np.percentile(np.exp(shapes[:, 0]), (5, 50, 95))
        nearest = self.nearest(filled)
        return MaskScores(
            name=name,
            masks=len(masks),
            empty=empty,
            volume=(float(low), float(middle), float(high)),
            distances=distances,
            location=float(np.abs(location(filled, self.spacing) - self._location).sum() / 2.0),
            nearest=(float(np.median(nearest)), float(np.percentile(nearest, 95))),
            seconds=seconds,
        )

    def nearest(self, masks: np.ndarray) -> np.ndarray:
        """Dice of each mask with the most similar training mask, [N]."""
        rows = _rows(masks)
        shared = np.asarray((rows @ self._training.T).todense())
        sizes = rows.sum(axis=1).A1[:, None] + self._training.sum(axis=1).A1[None]
        return (2.0 * shared / np.maximum(sizes, 1.0)).max(axis=1)

    def _measure(self, masks: np.ndarray) -> np.ndarray:
        """Measures of each mask, [N, measures]; the first is the logarithm of the volume."""
        table = np.array([describe(mask, (self.spacing,) * mask.ndim) for mask in masks])
        table[:, 0] = np.log(table[:, 0])
        return table


def _rows(masks: np.ndarray) -> sparse.csr_matrix:
    """One sparse row per mask, because lesions fill a hundredth of a brain."""
    return sparse.csr_matrix(masks.reshape(len(masks), -1), dtype=np.float32)
