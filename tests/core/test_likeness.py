"""Measures with intervals: the truth is like itself, noise is not, and intervals hold their values."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.likeness import Measures, View


@pytest.fixture(scope="module")
def cases():
    """Eight cases of four slices: bright squares of their own brightness, each with a lesion."""
    rng = np.random.default_rng(0)
    views = []
    for _ in range(8):
        labels = np.zeros((4, 16, 16), np.int64)
        labels[:, 2:14, 2:14] = 1
        labels[:, 5:9, 5:9] = 2
        image = np.where(labels == 0, -1.0, np.where(labels == 2, 0.2, -0.4 + 0.1 * rng.standard_normal()))
        image = image + 0.05 * rng.standard_normal(image.shape) * (labels > 0)
        views.append(View(labels, image[:, None].astype(np.float32)))
    return views


def look(images, brain):
    return np.stack([images.mean((1, 2, 3)), images.std((1, 2, 3)), images.max((1, 2, 3))], 1)


def test_the_truth_is_like_itself(cases):
    like = Measures(cases, 2, look).painted([view.image for view in cases])
    assert like.ssim.value == pytest.approx(1.0)
    assert like.frechet.value == pytest.approx(0.0, abs=1e-6)
    assert (like.precision, like.recall) == (1.0, 1.0)


def test_noise_is_worse_than_other_cases(cases):
    rng = np.random.default_rng(1)
    measures = Measures(cases[:4], 2, look)
    noisy = measures.painted(
        [np.clip(v.image + 0.5 * rng.standard_normal(v.image.shape), -1, 1).astype(np.float32) for v in cases[:4]]
    )
    others = measures.other_cases(cases[4:])
    assert others.ssim is None
    assert others.psnr is None
    assert noisy.frechet.value > noisy.frechet.low > others.frechet.value
    assert noisy.kernel.value > others.kernel.value
    assert noisy.ssim.value < 0.9


def test_intervals_hold_their_values(cases):
    like = Measures(cases, 2, look).painted([v.image * 0.9 for v in cases])
    for interval in (like.ssim, like.psnr, like.frechet, like.kernel, like.contrast):
        assert interval.low <= interval.value <= interval.high


def test_cases_without_lesion_do_not_count_for_contrast(cases):
    bare = [View(np.minimum(v.labels, 1), v.image) for v in cases[4:]]
    measures = Measures(cases, 2, look)
    assert measures.contrast([*cases[:4], *bare]) == measures.contrast(cases[:4])
    assert np.isnan(measures.contrast(bare).value)
