"""Compare translated images with the true images of held-out cases; each measure has an interval over cases."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import BaseModel, ConfigDict

from strokereg.core.evaluate.image_metrics import (
    Features,
    frechet_distance,
    kernel_distances,
    lesion_contrast,
    precision_recall,
    psnr,
    ssim,
)

_DRAWS = 2000  # of the bootstrap over cases


class Interval(BaseModel):
    """A measure with its 95 % interval over cases."""

    model_config = ConfigDict(extra="forbid")

    value: float
    low: float
    high: float


class ImageQuality(BaseModel):
    """How similar a set of images is to the true images.

    Attributes:
        ssim, psnr: similarity to the true image over brain voxels (psnr in dB), higher is better; None for real
            images of other cases, which have no true image.
        frechet, kernel: distance to the features of the held-out images, each feature in units of its standard
            deviation over these images; lower is better, 0 is equal; None with too few cases for an interval.
        precision, recall: share of images whose features lie among those of the true images, and the reverse.
        contrast: mean signal in the lesion over that of the rest of the brain; None where no image shows a lesion.
    """

    model_config = ConfigDict(extra="forbid")

    ssim: Interval | None
    psnr: Interval | None
    frechet: Interval | None
    kernel: Interval | None
    precision: float
    recall: float
    contrast: Interval | None


@dataclass(frozen=True)
class View:
    """The compared part of one case: labels [n, *S] and image [n, C, *S] in [-1, 1]; n slices, or one volume."""

    labels: np.ndarray
    image: np.ndarray


@dataclass(frozen=True)
class ImageComparison:
    """Compares images with the true images of held-out cases.

    Args:
        truth: the held-out cases.
        lesion: label of the lesion.
        features_of: images [n, C, *S] and their brains, bool [n, *S] → features; see `image_metrics.deep_features`.
    """

    truth: Sequence[View]
    lesion: int
    features_of: Callable[[np.ndarray, np.ndarray], Features]

    @cached_property
    def _true(self) -> tuple[list[np.ndarray], dict[int, np.ndarray], np.ndarray]:
        """Scaled features of the true images, their mean at each place, and their standard deviation.

        Places differ far more than images do, so the mean of each place is subtracted. Only places that at least half
        of the cases show are used.
        """
        found = [self.features_of(view.image, view.labels > 0) for view in self.truth]
        rows, places = (np.concatenate(each) for each in zip(*found, strict=True))
        shown = Counter(place for _, at in found for place in set(at.tolist()))
        common = [place for place, cases in shown.items() if 2 * cases >= len(found)] or list(shown)
        means = {place: rows[places == place].mean(0) for place in common}
        spread = np.maximum(_off(Features(rows, places), means).std(0), 1e-6)
        return [_off(each, means) / spread for each in found], means, spread

    def _scaled(self, view: View) -> np.ndarray:
        """Features, each in units of its standard deviation over the true images."""
        _, means, spread = self._true
        return _off(self.features_of(view.image, view.labels > 0), means) / spread

    def translated(self, images: Sequence[np.ndarray]) -> ImageQuality:
        """Compare images that a translator made from the held-out label maps, one array [n, C, *S] per case."""
        pairs = list(zip(images, self.truth, strict=True))

        def paired(measure: Callable[[np.ndarray, np.ndarray, np.ndarray], float]) -> Interval:
            rows = [
                np.mean([measure(i, t, k > 0) for i, t, k in zip(image, view.image, view.labels, strict=True)])
                for image, view in pairs
            ]
            return _mean(np.array(rows))

        views = [View(view.labels, image) for image, view in pairs]
        return self._quality(views, paired(ssim), paired(psnr), together=True)

    def other_cases(self, views: Sequence[View]) -> ImageQuality:
        """Compare real images of other cases: the reference for the distances of synthetic images."""
        return self._quality(views, None, None, together=False)

    def contrast(self, views: Sequence[View]) -> Interval:
        """Lesion contrast, mean over slices, then over cases; NaN if no case shows a lesion."""
        rows = []
        for view in views:
            ratios = [lesion_contrast(i, k, self.lesion) for i, k in zip(view.image, view.labels, strict=True)]
            shown = [ratio for ratio in ratios if ratio is not None]
            if shown:
                rows.append(float(np.mean(shown)))
        return _mean(np.array(rows or [np.nan]))

    def _quality(
        self, views: Sequence[View], similarity: Interval | None, noise: Interval | None, together: bool
    ) -> ImageQuality:
        true, features = self._true[0], [self._scaled(view) for view in views]

        def frechet(held: Sequence[int]) -> float:
            if not held:
                return math.nan
            # A translated image is left out together with the case whose labels it was made from.
            own = [features[case] for case in held] if together else features
            return frechet_distance(np.concatenate(own), np.concatenate([true[case] for case in held]))

        first = 0 if together else len(features)  # number of the first held-out case, for the kernel distance
        numbers = _numbers(features, 0), _numbers(true, first)
        kernel, kernels = kernel_distances(np.concatenate(features), np.concatenate(true), numbers, first + len(true))
        everyone = range(len(true))
        frechets = np.array([frechet([c for c in everyone if c != out]) for out in everyone])
        contrast = self.contrast(views)
        precision, recall = precision_recall(np.concatenate(features), np.concatenate(true))
        return ImageQuality(
            ssim=similarity,
            psnr=noise,
            frechet=_jackknife(frechet(everyone), frechets),
            kernel=_jackknife(kernel, kernels[first:]),
            precision=precision,
            recall=recall,
            contrast=contrast if math.isfinite(contrast.value) else None,
        )


def _off(features: Features, means: Mapping[int, np.ndarray]) -> np.ndarray:
    """Features minus the mean at their place; places without a mean are left out."""
    kept = np.array([int(place) in means for place in features.places], dtype=bool)
    at = [means[int(place)] for place in features.places[kept]]
    return features.rows[kept] - np.stack(at) if at else features.rows[kept]


def _numbers(parts: Sequence[np.ndarray], first: int) -> np.ndarray:
    """For each row, the number of its part, counted from `first`."""
    return np.repeat(np.arange(first, first + len(parts)), [len(part) for part in parts])


def _mean(rows: np.ndarray) -> Interval:
    """Mean over cases with its bootstrap interval."""
    rng = np.random.default_rng(0)
    means = rows[rng.integers(len(rows), size=(_DRAWS, len(rows)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(value=float(rows.mean()), low=float(low), high=float(high))


def _jackknife(value: float, left_out: np.ndarray) -> Interval | None:
    """A measure ± 1.96 jackknife standard errors (Efron 1981), from the measure without each of the cases [K].

    A bootstrap draws some cases twice, which increases distances between sets, so its interval could miss the value.
    None if the measure is not defined without one of the cases.
    """
    if not np.isfinite(left_out).all():
        return None
    count = len(left_out)
    error = float(np.sqrt((count - 1) / count * np.square(left_out - left_out.mean()).sum()))
    return Interval(value=value, low=value - 1.96 * error, high=value + 1.96 * error)
