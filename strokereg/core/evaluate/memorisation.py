"""Check whether synthetic images copy training images, by the distance to the nearest training image.

Images of held-out patients give the distances to expect without copying. Synthetic images that are closer than nearly
all of these are suspicious. Copies planted on purpose show whether the check can find copies. An image made from the
label map of a training case is similar to that case anyway, and a mixed case contains its voxels. A short distance
shows memorisation only if the image was made with another anatomy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.spatial.distance import cdist

_NEAREST = 5.0  # per cent of held-out images that count as near
_NOISE = 0.02  # standard deviation of the noise on planted copies: 1 % of the range of intensities
_MOST = 200  # largest number of images compared in each set, and of planted copies
_COARSE = 2  # voxels averaged along each axis, which reduces noise but keeps copies similar


class Nearness(BaseModel):
    """Distances to the nearest training image, mirrored or not.

    Attributes:
        synthetic, held_out: median over images.
        nearest: smallest distance of a synthetic image.
        near: share of synthetic images that are closer than 95 % of the held-out images; 0.05 is expected by chance.
        caught: the same share for planted copies.
    """

    model_config = ConfigDict(extra="forbid")

    synthetic: float
    held_out: float
    nearest: float
    near: float
    caught: float


class Memorisation(BaseModel):
    """Result for two distances: root mean square of intensity differences, and distance of a segmenter's features."""

    model_config = ConfigDict(extra="forbid")

    pixels: Nearness
    features: Nearness

    @property
    def detects_copies(self) -> bool:
        """Whether the check found the planted copies; if not, it cannot rule out memorisation."""
        return max(self.pixels.caught, self.features.caught) >= 0.95


def audit(
    synthetic: np.ndarray,
    training: np.ndarray,
    held_out: np.ndarray,
    features_of: Callable[[np.ndarray], np.ndarray],
    seed: int = 0,
) -> Memorisation:
    """Compare synthetic with training images.

    Args:
        synthetic, training, held_out: float32 [N, C, *S] in [-1, 1], all of one size.
        features_of: images [n, C, *S] → features, one row per image.
        seed: seed of the noise on planted copies and of the choice of images.
    """
    rng = np.random.default_rng(seed)
    synthetic, held_out = (_some(rng, images) for images in (synthetic, held_out))
    copies = _some(rng, training)
    copies = np.clip(copies + rng.normal(0, _NOISE, copies.shape) * (copies > -1), -1, 1).astype(np.float32)
    mirrored = np.concatenate([training, training[..., ::-1]])
    return Memorisation(
        pixels=_nearness(*(_pixels(images) for images in (synthetic, mirrored, held_out, copies))),
        features=_nearness(*_scaled(*(features_of(images) for images in (synthetic, mirrored, held_out, copies)))),
    )


def _some(rng: np.random.Generator, images: np.ndarray) -> np.ndarray:
    return images[np.sort(rng.permutation(len(images))[:_MOST])]


def _pixels(images: np.ndarray) -> np.ndarray:
    """Coarse intensities, one row per image, scaled so that a distance is a root mean square."""
    coarse = images
    for axis in range(2, images.ndim):
        edges = np.arange(0, coarse.shape[axis], _COARSE)
        width = np.diff([*edges, coarse.shape[axis]]).reshape([-1 if a == axis else 1 for a in range(images.ndim)])
        coarse = np.add.reduceat(coarse, edges, axis=axis) / width
    rows = coarse.reshape(len(images), -1)
    return rows / np.sqrt(rows.shape[1])


def _scaled(*features: np.ndarray) -> list[np.ndarray]:
    """Features in units of their standard deviation over the training images, the second argument."""
    spread = np.maximum(features[1].std(0), 1e-6)
    return [rows / spread for rows in features]


def _nearness(synthetic: np.ndarray, training: np.ndarray, held_out: np.ndarray, copies: np.ndarray) -> Nearness:
    made, real, planted = (cdist(rows, training).min(axis=1) for rows in (synthetic, held_out, copies))
    limit = np.percentile(real, _NEAREST)
    return Nearness(
        synthetic=float(np.median(made)),
        held_out=float(np.median(real)),
        nearest=float(made.min()),
        near=float((made < limit).mean()),
        caught=float((planted < limit).mean()),
    )
