"""Copies are caught, other patients' images are not."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.evaluate.memorisation import audit


def images(count, seed, dims=2):
    """Smooth made-up brains of one grid: a lit ellipsoid with a patient's own pattern."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    size = (24,) * dims
    field = ndimage.gaussian_filter(rng.normal(size=(count, 1, *size)), [0, 0, *([2.0] * dims)])
    place = np.stack(np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in size), indexing="ij"))
    brain = (place**2).sum(0) < 1
    return np.where(brain, np.clip(field / field.std() * 0.3, -0.95, 1), -1.0).astype(np.float32)


def look(stack):
    """Means over a coarse grid stand for a network's features."""
    n = len(stack)
    return stack.reshape(n, -1)[:, ::7].astype(float)


@pytest.mark.parametrize("dims", [2, 3])
def test_planted_copies_are_caught(dims):
    """Noisy and mirrored ones, in both measures; and the audit's own control says so of itself."""
    training, held_out = images(30, 0, dims), images(40, 1, dims)
    noise = np.random.default_rng(2).normal(0, 0.03, training.shape).astype(np.float32)
    copies = np.clip(training + noise * (training > -1), -1, 1)[..., ::-1]
    half = np.concatenate([copies[:10], images(10, 3, dims)])
    found = audit(half, training, held_out, look)
    for measure in (found.pixels, found.features):
        assert measure.caught == 1.0
        assert 0.5 <= measure.near <= 0.65  # the ten, and of the others as many as chance gives
        assert measure.nearest < 0.5 * measure.held_out
    assert found.detects_copies


def test_images_of_other_patients_are_as_near_as_chance():
    found = audit(images(300, 5), images(30, 0), images(300, 1), look)
    assert found.pixels.near == pytest.approx(0.05, abs=0.06)
    assert found.pixels.synthetic == pytest.approx(found.pixels.held_out, rel=0.05)


def test_an_audit_that_sees_nothing_says_so():
    """Where other patients lie as near as copies do, as they are the training cases themselves."""
    training = images(30, 0)
    assert not audit(images(20, 2), training, training, look).detects_copies
