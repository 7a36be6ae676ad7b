"""Effects of the scanner have the size and the place that they should."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.simulate.physics import Sequence
from strokereg.core.simulate.scanner import Slices, add_noise, distort, rims, saturate, shading

SHAPE, SPACING = (40, 44, 36), 4.0


@pytest.fixture
def brain():
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    return (x / 0.8) ** 2 + (y / 0.85) ** 2 + (z / 0.85) ** 2 < 1


@pytest.fixture
def points():
    """About MNI mm of the voxels."""
    centre = (np.array(SHAPE) - 1) / 2
    return (np.indices(SHAPE, dtype=np.float32) - centre[:, None, None, None].astype(np.float32)) * SPACING


def test_thick_slices_with_gaps_hide_what_lies_between_them():
    thick = Slices.of(np.random.default_rng(0), Sequence(thickness=6.0, gap=2.0), 2.0, SHAPE[2])
    assert np.diff(thick.places) == pytest.approx(4.0)
    ramp = np.broadcast_to(np.arange(SHAPE[2], dtype=np.float32), (2, 2, SHAPE[2]))
    assert thick.stack(thick.cut(ramp))[0, 0, 6:-6] == pytest.approx(ramp[0, 0, 6:-6], abs=0.05)
    comb = np.tile(np.array([0, 1], dtype=np.float32), (2, 2, SHAPE[2] // 2))
    assert np.ptp(thick.stack(thick.cut(comb))[..., 6:-6]) < 0.1


def test_slices_as_thick_as_the_voxels_stay_where_they_are():
    plain = Slices.of(np.random.default_rng(0), Sequence(), SPACING, SHAPE[2])
    image = np.zeros((2, 2, SHAPE[2]), dtype=np.float32)
    image[..., 10] = 1.0
    assert plain.places is None
    assert plain.stack(plain.cut(image))[0, 0].argmax() == 10


def test_distortion_grows_with_the_field_and_squeezes_what_it_shifts(points):
    weak, strong = (distort(np.random.default_rng(3), points, tesla, SPACING) for tesla in (1.5, 3.0))
    assert strong[0] == pytest.approx(2.0 * weak[0])
    assert 1.0 < np.abs(strong[0]).max() < 20.0
    assert np.abs(strong[0])[18:22, 20:24, 26:].max() < 0.5  # far from air
    moved = np.gradient(strong[0], axis=1) / SPACING
    assert strong[1] == pytest.approx(np.clip(1.0 + moved, 0.3, 2.5))


def test_saturation_cuts_off_a_few_scans_only():
    image = np.linspace(0.0, 10.0, 50, dtype=np.float32)
    tops = [saturate(np.random.default_rng(seed), image, 1.0).max() for seed in range(100)]
    cut_off = [top for top in tops if top < 10.0]
    assert 1 <= len(cut_off) <= 15
    assert all(2.0 <= top <= 4.0 for top in cut_off)


def test_shading_is_smooth_of_mean_one_and_brighter_outside(brain):
    field = shading(np.random.default_rng(0), brain, SPACING)
    assert field[brain].mean() == pytest.approx(1.0, abs=1e-5)
    assert field[~brain].mean() > field[18:22, 20:24, 16:20].mean()
    assert np.abs(np.diff(field[10:30, 10:30, 10:30], axis=0)).max() < 0.2


def test_rims_change_the_edge_near_air_and_less_at_a_low_field(brain, points):
    strong, weak = (rims(np.random.default_rng(1), brain, points, SPACING, tesla) for tesla in (3.0, 1.5))
    assert (strong[~brain] == 1.0).all()
    assert 1.05 < strong.max() <= 5.0
    assert strong[18:22, 20:24, 16:20] == pytest.approx(1.0, abs=0.05)
    assert weak.max() < strong.max()


def test_noise_is_rician():
    shape = (40, 44, 36)
    noisy = add_noise(np.random.default_rng(0), np.full(shape, 100.0, dtype=np.float32), 5.0)
    assert noisy.std() == pytest.approx(5.0, rel=0.05)
    assert 100.0 < noisy.mean() < 100.5
    dark = add_noise(np.random.default_rng(0), np.zeros(shape, dtype=np.float32), 5.0)
    assert dark.mean() == pytest.approx(5.0 * np.sqrt(np.pi / 2), rel=0.05)  # Rayleigh: magnitude of noise
