"""Effects of the scanner: blur, shading, rims and noise have the size and the place that they should."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.simulate.scanner import add_noise, blur, rims, shading

SHAPE, SPACING = (40, 44, 36), 4.0


@pytest.fixture
def brain():
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    return (x / 0.8) ** 2 + (y / 0.85) ** 2 + (z / 0.85) ** 2 < 1


def test_blur_is_at_least_as_wide_across_as_in_plane():
    spreads = [blur(np.random.default_rng(seed), 2.0) for seed in range(20)]
    assert all(x == y <= z for x, y, z in spreads)
    assert len({z for _, _, z in spreads}) > 1


def test_shading_is_smooth_of_mean_one_and_brighter_outside(brain):
    field = shading(np.random.default_rng(0), brain, SPACING)
    assert field[brain].mean() == pytest.approx(1.0, abs=1e-5)
    assert field[~brain].mean() > field[18:22, 20:24, 16:20].mean()
    assert np.abs(np.diff(field[10:30, 10:30, 10:30], axis=0)).max() < 0.2


def test_rims_brighten_the_edge_only(brain):
    centre = (np.array(SHAPE) - 1) / 2
    points = (np.indices(SHAPE, dtype=np.float32) - centre[:, None, None, None].astype(np.float32)) * SPACING
    factor = rims(np.random.default_rng(1), brain, points, SPACING)
    assert factor.min() == 1.0
    assert 1.05 < factor.max() <= 5.0
    assert factor[18:22, 20:24, 16:20].max() < 1.05


def test_noise_is_rician_inside_the_brain_and_nothing_outside(brain):
    image = np.where(brain, 100.0, 0.0).astype(np.float32)
    noisy = add_noise(np.random.default_rng(0), image, 5.0, brain)
    assert not noisy[~brain].any()
    assert noisy[brain].std() == pytest.approx(5.0, rel=0.05)
    assert 100.0 < noisy[brain].mean() < 100.5
    dark = add_noise(np.random.default_rng(0), np.zeros_like(image), 5.0, brain)
    assert dark[brain].mean() == pytest.approx(5.0 * np.sqrt(np.pi / 2), rel=0.05)  # Rayleigh: magnitude of noise
