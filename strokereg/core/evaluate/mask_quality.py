"""How like real lesion masks a set of generated ones is, and whether it repeats the masks that it was trained on."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import sparse
from scipy.stats import wasserstein_distance

from strokereg.core.evaluate.mask_metrics import Shape, describe, location

MEASURES = Shape._fields


class MaskScores(BaseModel):
    """One set of masks held against held-out real ones.

    Attributes:
        name: of the generator, or what the set is.
        masks: how many were drawn; empty ones are counted and left out of all else.
        empty: share of empty masks.
        volume: 5th, 50th and 95th percentile, ml (2D: mm²).
        distances: measure → Wasserstein distance to the held-out set in standard deviations of that set; the volume by
            its logarithm, since lesions span three orders of magnitude. 0 is equal.
        location: total variation between the two location histograms, 0 … 1.
        nearest: median and 95th percentile of the Dice with the most similar training mask; 1 is a copy.
        seconds: of training and drawing.
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
    """Held-out real masks, and the training masks that nothing should repeat.

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

        Where every mask is empty, there are no distances.
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
        """Dice of each mask with the training mask that is most like it, [N]."""
        rows = _rows(masks)
        shared = np.asarray((rows @ self._training.T).todense())
        sizes = rows.sum(axis=1).A1[:, None] + self._training.sum(axis=1).A1[None]
        return (2.0 * shared / np.maximum(sizes, 1.0)).max(axis=1)

    def _measure(self, masks: np.ndarray) -> np.ndarray:
        """[N, measures], the volume as its logarithm."""
        table = np.array([describe(mask, (self.spacing,) * mask.ndim) for mask in masks])
        table[:, 0] = np.log(table[:, 0])
        return table


def _rows(masks: np.ndarray) -> sparse.csr_matrix:
    """Lesions fill a hundredth of a brain, so a sparse row a mask."""
    return sparse.csr_matrix(masks.reshape(len(masks), -1), dtype=np.float32)
