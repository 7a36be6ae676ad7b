"""The random field: beliefs stay probabilities, follow intensities and leave the lesion out."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.tissue.field import Field
from strokereg.core.tissue.scan import BrainScan

SHAPE = (20, 22, 18)


@pytest.fixture
def scan():
    """Fluid in the middle of cortex and white matter, noisy and shaded, with a small lesion; all of it is brain."""
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    tissue = np.where(x**2 + y**2 + z**2 < 0.15, 0, np.where(x < 0, 2, 4))
    lesion = (x - 0.6) ** 2 + y**2 + z**2 < 0.03
    signal = np.choose(tissue, [1.2, 0, 0.4, 0, 0.1]) + 0.2 * y + rng.normal(0, 0.08, SHAPE) + 0.8 * lesion
    adc = np.choose(tissue, [2.8, 0, 0.85, 0, 0.7]) + rng.normal(0, 0.05, SHAPE)
    channels = np.stack([signal, adc]).astype(np.float32)
    everywhere = tuple(slice(0, n) for n in SHAPE)
    turn = np.array([[0, 1], [1, 1], [2, 1]])
    return BrainScan(channels, np.ones(SHAPE, bool), lesion, np.full(3, 4.0), None, everywhere, turn, SHAPE), tissue


def test_it_separates_tissues_by_intensity_and_neighbours(scan):
    scan, tissue = scan
    shares = np.full((5, tissue.size), 0.2)
    shares[3] = 0.01
    first = np.where(np.arange(5)[:, None] == np.where(tissue.ravel() == 0, 0, 4), 0.6, 0.1)
    first[2] = np.where(tissue.ravel() == 2, 0.3, 0.1)  # a weak hint of which side is cortex
    field = Field(scan, (first / first.sum(axis=0)).astype(np.float32))
    field.run(shares, 8)
    used = scan.fitted.ravel()
    np.testing.assert_allclose(field.belief.sum(axis=0)[used], 1.0, rtol=1e-4)
    assert not field.belief[:, ~used].any()
    found, true = field.final_belief().argmax(axis=0)[used], tissue.ravel()[used]
    assert (np.isin(found, (0, 1)) == (true == 0)).mean() > 0.99
    assert (found == true)[np.isin(true, (2, 4))].mean() > 0.85


def test_slow_diffusion_is_never_fluid_and_the_lesion_has_no_likelihood(scan):
    scan, tissue = scan
    belief = np.full((5, tissue.size), 0.2, np.float32)
    field = Field(scan, belief)
    field.run(np.full((5, tissue.size), 0.2), 1)
    slow = scan.channels[1].ravel() < 1.5
    assert (field.final_belief()[:2, slow] == -1.0).all()
    assert (field.likelihood()[:, scan.lesion.ravel()] == 1.0).all()
    np.testing.assert_allclose(field.likelihood()[:, scan.fitted.ravel()].sum(axis=0), 1.0, rtol=1e-4)
