"""ImageComparison with intervals: the truth equals itself, noise does not, and intervals contain their values."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from strokereg.core.evaluate.image_metrics import Features, deep_features
from strokereg.core.evaluate.image_quality import ImageComparison, View


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


def simple_features(images, brain):
    rows = np.stack([images.mean((1, 2, 3)), images.std((1, 2, 3)), images.max((1, 2, 3))], 1)
    return Features(rows, np.zeros(len(rows), int))


def test_the_truth_equals_itself(cases):
    quality = ImageComparison(cases, 2, simple_features).translated([view.image for view in cases])
    assert quality.ssim.value == pytest.approx(1.0)
    assert quality.frechet.value == pytest.approx(0.0, abs=1e-6)
    assert (quality.precision, quality.recall) == (1.0, 1.0)


def test_noise_is_worse_than_other_cases(cases):
    rng = np.random.default_rng(1)
    measures = ImageComparison(cases[:4], 2, simple_features)
    noisy = measures.translated(
        [np.clip(v.image + 0.5 * rng.standard_normal(v.image.shape), -1, 1).astype(np.float32) for v in cases[:4]]
    )
    others = measures.other_cases(cases[4:])
    assert others.ssim is None
    assert others.psnr is None
    assert noisy.frechet.value > noisy.frechet.low > others.frechet.value
    assert noisy.kernel.value > others.kernel.value
    assert noisy.ssim.value < 0.9


def test_intervals_contain_their_values(cases):
    quality = ImageComparison(cases, 2, simple_features).translated([v.image * 0.9 for v in cases])
    for interval in (quality.ssim, quality.psnr, quality.frechet, quality.kernel, quality.contrast):
        assert interval.low <= interval.value <= interval.high


def test_cases_without_lesion_do_not_count_for_contrast(cases):
    bare = [View(np.minimum(v.labels, 1), v.image) for v in cases[4:]]
    measures = ImageComparison(cases, 2, simple_features)
    assert measures.contrast([*cases[:4], *bare]) == measures.contrast(cases[:4])
    assert np.isnan(measures.contrast(bare).value)


def heads(dims, count, seed):
    """Cases of an ellipsoid of textured brain, each of its own size, place and brightness, in an empty image."""
    rng = np.random.default_rng(seed)
    edge, units = (32, 1) if dims == 3 else (48, 6)
    axes = np.meshgrid(*(np.arange(edge),) * dims, indexing="ij")
    views = []
    for _ in range(count):
        labels, image = np.zeros((units, *(edge,) * dims), np.int64), np.full((units, 1, *(edge,) * dims), -1.0)
        for unit in range(units):
            centre, radius = edge / 2 + rng.uniform(-2, 2, dims), edge * rng.uniform(0.2, 0.45)
            inside = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) < radius**2
            texture = ndimage.gaussian_filter(rng.standard_normal(inside.shape), 1.0)
            labels[unit] = inside
            image[unit, 0][inside] = (-0.5 + 0.05 * rng.standard_normal() + 0.15 * texture / texture.std())[inside]
        views.append(View(labels, image.astype(np.float32)))
    return views


def blurred(view):
    smooth = ndimage.gaussian_filter(view.image, (0, 0, *(1.5,) * (view.image.ndim - 2)))
    return np.where(view.labels[:, None] > 0, smooth, -1.0).astype(np.float32)


@pytest.mark.parametrize("dims", [2, 3])
def test_differences_are_found_for_brains_of_all_sizes(dims):
    """Features distinguish blurred and brighter images from equal ones, whatever the size of the brain."""
    torch.manual_seed(0)
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    feature_network = nn.Sequential(
        conv(1, 8, 3, padding=1), nn.ReLU(), conv(8, 8, 3, 2, 1), nn.ReLU(), conv(8, 6, 3, 2, 1)
    ).eval()
    truth = heads(dims, 12, seed=0)
    measures = ImageComparison(truth, 2, partial(deep_features, feature_network))
    equal = measures.other_cases(heads(dims, 12, seed=1))
    brighter = [np.where(view.labels[:, None] > 0, view.image + 0.15, -1.0).astype(np.float32) for view in truth]
    for planted in ([blurred(view) for view in truth], brighter):
        found = measures.translated(planted)
        # Few of these brains share a part of the volume, so in 3D equal sets lie further apart.
        assert found.frechet.value > {2: 5, 3: 2}[dims] * equal.frechet.value
        assert found.kernel.value > 3 * max(equal.kernel.value, 0.0)
        assert found.frechet.low > equal.frechet.value


def test_features_are_compared_at_places_that_half_of_the_cases_show():
    """Two places with different means, and a third that one case shows; shifts are in units of the spread there."""
    rng = np.random.default_rng(0)
    blank = [
        View(np.ones((1, 16, 16), np.int64), np.full((1, 1, 16, 16), float(case), np.float32)) for case in range(6)
    ]
    held = {case: [rng.standard_normal(2), 100 + rng.standard_normal(2)] for case in range(6)}

    def look(images, brain):
        case, shift = divmod(float(images[0, 0, 0, 0]), 1.0)
        rows = [held[int(case)][0] + shift * 4, held[int(case)][1]] + [[1e6, 1e6]] * (case == 0)
        return Features(np.array(rows), np.arange(len(rows)))

    measures = ImageComparison(blank, 2, look)
    assert measures.translated([view.image for view in blank]).frechet.value == pytest.approx(0.0, abs=1e-6)
    assert measures.translated([view.image + 0.5 for view in blank]).frechet.value > 0.5


@pytest.mark.parametrize("held_out", [1, 2])
def test_distances_without_enough_cases_are_left_out(cases, held_out):
    """A study of three patients once ended without a result, because one of its distances was NaN."""
    truth = cases[:held_out]
    measures = ImageComparison(truth, 2, simple_features)
    quality = measures.translated([view.image * 0.9 for view in truth])
    assert quality.kernel is None
    assert (quality.frechet is None) == (held_out == 1)
    assert quality.ssim.value > 0.5
    assert measures.other_cases(cases[2:3]).kernel is None
    slices = [View(view.labels[:1], view.image[:1]) for view in truth]
    assert ImageComparison(slices, 2, simple_features).translated([view.image for view in slices]).frechet is None
