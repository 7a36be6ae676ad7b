"""Measures of image quality, compared with known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from strokereg.core.evaluate.image_metrics import (
    deep_features,
    frechet_distance,
    kernel_distance,
    lesion_contrast,
    precision_recall,
    psnr,
    ssim,
)
from strokereg.testing.pretend import PretendedDevice


@pytest.fixture
def scan():
    rng = np.random.default_rng(0)
    truth = rng.uniform(-1, 1, (1, 24, 24)).astype(np.float32)
    brain = np.zeros((24, 24), bool)
    brain[4:20, 4:20] = True
    return truth, brain


def test_pairs(scan):
    truth, brain = scan
    assert ssim(truth, truth, brain) == pytest.approx(1.0)
    assert psnr(truth + 0.2, truth, brain) == pytest.approx(20.0, abs=1e-4)  # 4 / 0.04 = 100
    rng = np.random.default_rng(1)
    little, much = (truth + s * rng.standard_normal(truth.shape).astype(np.float32) for s in (0.1, 0.5))
    assert 1 > ssim(little, truth, brain) > ssim(much, truth, brain)


def test_volumes_are_seen_one_by_one_where_they_are_large():
    counts = []
    network = nn.Sequential(nn.Conv3d(1, 2, 3, 2, 1))
    network.register_forward_pre_hook(lambda module, given: counts.append(len(given[0])))
    deep_features(network, np.zeros((3, 1, 64, 128, 128), np.float32))
    deep_features(network, np.zeros((9, 1, 32, 64, 64), np.float32))
    assert counts == [1, 1, 1, 8, 1]


@pytest.mark.parametrize("kind", ["cuda", "meta"])
def test_features_are_taken_on_the_device_without_float64_which_mps_has_not(kind):
    with PretendedDevice(kind) as device, torch.no_grad():
        network = device.put(nn.Sequential(nn.Conv2d(1, 3, 3, 2, 1)))
        rows, places = deep_features(network, np.zeros((2, 1, 8, 8), np.float32), np.ones((2, 8, 8), bool))
    assert rows.shape == (2, 3)
    assert rows.dtype == np.float64
    assert places.shape == (2,)


def test_only_the_brain_counts(scan):
    truth, brain = scan
    other = truth.copy()
    other[:, :2] = 1.0  # far enough outside not to reach in through the window
    assert psnr(other, truth, brain) == psnr(truth, truth, brain)


def test_volumes_and_channels():
    rng = np.random.default_rng(0)
    truth = rng.uniform(-1, 1, (2, 12, 12, 12)).astype(np.float32)
    assert ssim(truth, truth, np.ones((12, 12, 12), bool)) == pytest.approx(1.0)


def test_lesion_contrast():
    labels = np.array([[0, 1, 1], [0, 2, 2]])
    image = np.array([[[-1, -0.5, -0.5], [-1, 0.0, 0.0]]], np.float32)
    assert lesion_contrast(image, labels, 2) == pytest.approx(2.0)
    assert lesion_contrast(image, labels, 3) is None


def test_features_come_from_the_coarsest_convolution():
    torch.manual_seed(0)
    coarse = nn.Conv2d(4, 6, 3, 2, 1)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), coarse, nn.InstanceNorm2d(6), nn.Upsample(scale_factor=4)
    )
    images = np.random.default_rng(0).uniform(-1, 1, (20, 1, 16, 16)).astype(np.float32)
    features = deep_features(network, images).rows
    with torch.no_grad():
        expected = coarse(network[:2](torch.from_numpy(images))).mean((2, 3))
    assert features.shape == (20, 6)
    np.testing.assert_allclose(features, expected.numpy(), atol=1e-5)


def test_only_the_brain_counts_in_features():
    network = nn.Sequential(nn.Conv2d(1, 3, 1))
    images = np.random.default_rng(0).uniform(-1, 1, (2, 1, 8, 8)).astype(np.float32)
    brain = np.zeros((2, 8, 8), bool)
    brain[:, 2:5, 3:7] = True
    with torch.no_grad():
        expected = network(torch.from_numpy(images[..., 2:5, 3:7])).mean((2, 3))
    np.testing.assert_allclose(deep_features(network, images, brain).rows, expected.numpy(), atol=1e-6)


def test_a_volume_gives_a_row_for_each_part_with_brain():
    network = nn.Sequential(nn.Conv3d(1, 3, 1))
    volume = np.random.default_rng(0).uniform(-1, 1, (1, 1, 16, 16, 16)).astype(np.float32)
    brain = np.zeros((1, 16, 16, 16), bool)
    brain[0, :4, :4, :6] = True  # one part and half of another
    brain[0, 12, 12, 12] = True  # a 64th of a third
    rows, places = deep_features(network, volume, brain)
    with torch.no_grad():
        first, second = (
            network(torch.from_numpy(volume[..., :4, :4, x])).mean((0, 2, 3, 4)) for x in (slice(0, 4), slice(4, 6))
        )
    np.testing.assert_allclose(rows, torch.stack([first, second]).numpy(), atol=1e-6)
    assert places.tolist() == [0, 1]
    assert deep_features(network, volume, np.zeros_like(brain)).rows.shape == (64, 3)  # nothing to choose by


def test_a_volume_is_seen_at_half_its_resolution_on_the_way_down():
    torch.manual_seed(0)
    whole, half, quarter, up = (nn.Conv3d(a, b, 3, s, 1) for a, b, s in ((1, 2, 1), (2, 3, 2), (3, 4, 2), (4, 5, 1)))
    network = nn.Sequential(whole, half, quarter, nn.Upsample(scale_factor=2), up)
    volumes = np.random.default_rng(0).uniform(-1, 1, (17, 1, 16, 16, 16)).astype(np.float32)
    brain = np.ones((17, 16, 16, 16), bool)
    with torch.no_grad():
        expected = half(whole(torch.from_numpy(volumes)))
    rows, places = deep_features(network, volumes, brain)
    assert rows.shape == (17 * 64, 3)
    assert (places == np.tile(np.arange(64), 17)).all()
    np.testing.assert_allclose(rows[0], expected[0, :, :2, :2, :2].mean((1, 2, 3)).numpy(), atol=1e-6)
    early = nn.Sequential(nn.Conv3d(1, 2, 4, 4), nn.Conv3d(2, 3, 1))  # no convolution of half the resolution
    assert deep_features(early, volumes, brain).rows.shape == (17 * 64, 2)


def test_frechet_distance_of_known_normals():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((200_000, 2))
    b = rng.standard_normal((200_000, 2)) * [2.0, 1.0] + [3.0, 0.0]
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(a, b) == pytest.approx(9.0 + 1.0, abs=0.1)  # |Δμ|² + (2 - 1)²


def test_kernel_distance_is_unbiased():
    rng = np.random.default_rng(0)
    same = [kernel_distance(rng.standard_normal((50, 4)), rng.standard_normal((50, 4))) for _ in range(200)]
    apart = kernel_distance(rng.standard_normal((50, 4)), rng.standard_normal((50, 4)) + 1.0)
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(len(same)) < apart


def test_kernel_distance_between_pairs_of_the_same_cases_is_unbiased():
    """Two sets with five similar rows per case: without the numbers of the cases, the distance is biased."""
    rng = np.random.default_rng(0)
    cases = np.repeat(np.arange(12), 5)
    plain, fair = [], []
    for _ in range(100):
        shared = rng.standard_normal((12, 4))[cases]
        a, b = (shared + rng.standard_normal((60, 4)) for _ in range(2))
        plain.append(kernel_distance(a, b))
        fair.append(kernel_distance(a, b, (cases, cases)))
    assert abs(np.mean(fair)) < 3 * np.std(fair) / 10
    assert abs(np.mean(plain)) > 5 * np.std(plain) / 10
    assert abs(np.mean(plain)) > 5 * abs(np.mean(fair))


def test_precision_and_recall():
    rng = np.random.default_rng(0)
    real = rng.uniform(0, 1, (300, 2))
    half = rng.uniform(0, 1, (300, 2)) * [0.5, 1.0]
    precision, recall = precision_recall(half, real)
    assert precision > 0.9
    assert 0.4 < recall < 0.65
    assert precision_recall(real + 10.0, real) == (0.0, 0.0)
