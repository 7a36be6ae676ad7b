"""Artefacts: each does what its name says inside the head and nothing outside it, again the same under its seed."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
import torch

from strokereg.core.train.artefacts import KINDS, Artefacts, add_artefacts, require_libraries
from strokereg.registry.errors import InputError

SHAPES = [(40, 32), (20, 24, 18)]


@pytest.fixture(autouse=True)
def _libraries():
    pytest.importorskip("torchio", reason="TorchIO is not installed")
    require_libraries(Artefacts(**dict.fromkeys(KINDS, 1.0)), "--augment")  # as a training does before its first batch


def head(shape, count=4, channels=2):
    """An ellipsoid with texture in empty space; all channels alike."""
    axes = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = sum((a / 0.8) ** 2 for a in axes) < 1
    texture = 0.5 + 0.1 * torch.sin(9 * axes[-1]) * torch.cos(7 * axes[-2])
    return torch.where(inside, texture * 2 - 1, -1.0).expand(count, channels, *shape).clone()


def apply(image, seed=0, **shares):
    return add_artefacts(image, Artefacts(**shares), seed)


def test_every_option_is_a_kind_and_off_unless_asked_for():
    assert list(Artefacts.model_fields) == list(KINDS)
    assert not any(Artefacts().model_dump().values())
    image = head((8, 8))
    assert add_artefacts(image, Artefacts(), 1) is image


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_changes_the_head_and_not_what_is_around_it(kind, shape):
    image = head(shape)
    given, states = image.clone(), (torch.get_rng_state(), np.random.get_state()[1], random.getstate())
    changed = apply(image, **{kind: 1.0})
    assert torch.equal(image, given)
    assert changed.shape == image.shape
    assert changed.dtype == torch.float32
    outside = image == -1
    assert (changed[outside] == -1).all()
    assert -1 <= changed.min() < changed.max() <= 1
    for before, after in zip(image, changed, strict=True):
        assert (after - before).abs().max() > 0.01
    assert torch.equal(apply(image, **{kind: 1.0}), changed)
    assert not torch.equal(apply(image, seed=1, **{kind: 1.0}), changed)
    # A training draws from these in another thread.
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert random.getstate() == states[2]


@pytest.mark.parametrize("kind", KINDS)
def test_contrasts_of_one_scan_share_what_is_of_the_scan(kind):
    first, second = apply(head((40, 32)), **{kind: 1.0}).unbind(1)
    assert torch.equal(first, second) == (kind != "rician_noise")


def test_the_share_of_samples_that_get_it():
    image = head((16, 16), 300, 1)
    changed = (apply(image, bias_field=0.2) != image).flatten(1).any(1)
    assert 40 < int(changed.sum()) < 80
    assert torch.equal(apply(image, bias_field=0.2)[~changed], image[~changed])


@pytest.mark.parametrize("shape", SHAPES)
def test_anisotropy_smooths_along_one_axis(shape):
    image = torch.full((24, 1, *shape), -0.5)
    middle = tuple(n // 2 for n in shape)
    image[(slice(None), 0, *middle)] = 0.9
    axes = set()
    for sample in (apply(image, anisotropy=1.0) - image)[:, 0].abs() > 1e-4:
        spread = [int(i) for i in (sample.nonzero() - torch.tensor(middle)).abs().amax(0)]
        assert sorted(spread)[:-1] == [0] * (len(shape) - 1)
        assert 2 <= max(spread) <= 10
        axes.add(spread.index(max(spread)))
    assert axes == set(range(len(shape)))


def test_anisotropy_reaches_the_border_of_a_patch():
    patch = torch.full((12, 1, 20, 20), -0.2)
    torch.testing.assert_close(apply(patch, anisotropy=1.0), patch, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bias_field_is_a_smooth_factor(shape):
    image = torch.full((6, 1, *shape), -0.8)
    factor = torch.log((apply(image, bias_field=1.0) + 1) / (image + 1))[:, 0].numpy().astype(float)
    assert factor.std(axis=tuple(range(1, factor.ndim))).min() > 0.05
    for axis in range(1, factor.ndim):
        assert np.ptp(factor, axis=axis).max() > 0.05  # it varies along each
        assert np.abs(np.diff(factor, 4, axis=axis)).max() < 1e-4  # as a polynomial of the third degree does


@pytest.mark.parametrize("shape", SHAPES)
def test_motion_blurs_and_echoes_but_leaves_things_in_their_place(shape):
    image = torch.full((12, 1, *shape), -0.9)
    spot = tuple(slice(n // 2 - 2, n // 2 + 2) for n in shape)
    image[(slice(None), 0, *spot)] = 0.8
    changed = apply(image, motion=1.0)
    bright = (changed[:, 0] > 0).nonzero()[:, 1:].float()
    there = torch.tensor([n // 2 - 0.5 for n in shape])
    assert (bright.mean(0) - there).abs().max() < 0.7  # labels still fit
    apart = (changed - image).abs()
    apart[(slice(None), slice(None), *spot)] = 0
    assert (apart.flatten(1).amax(1) > 0.05).all()


def test_ghosts_lie_along_the_phase_encoding_at_even_distances():
    image = torch.full((40, 1, 48, 24), -0.9)
    image[:, 0, 6:10, 10:14] = 0.8
    change = (apply(image, ghosting=1.0) - image)[:, 0]
    assert change[:, :, :9].abs().max() < 1e-5  # none beside it along X
    counts = set()
    for profile in change[:, :, 12].numpy():
        # A ghost repeats the edges of the spot, 48 / n lines on.
        edges = np.abs(np.diff(profile)) > 0.05
        counts.add(next(n for n in (4, 3, 2) if all(edges[(5 + 48 * i // n) % 48] for i in range(1, n))))
    assert counts == {2, 3, 4}


def test_rician_noise_lifts_what_is_dark_and_hardly_what_is_bright():
    dark, bright = (
        apply(image, rician_noise=1.0) - image for image in (torch.full((8, 1, 64, 64), v) for v in (-0.97, 0.0))
    )
    assert dark.mean() > 0.01
    assert abs(float(bright.mean())) < 0.2 * float(dark.mean())
    assert bright.std() > 0.02


@pytest.mark.parametrize("kind", [kind for kind, how in KINDS.items() if how.library == "torchio"])
def test_a_missing_library_is_named_with_the_way_to_get_it(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "torchio", None)  # as if it were not installed
    with pytest.raises(InputError, match=rf"--augment: {kind} needs the package torchio.*strokereg\[artefacts\]"):
        require_libraries(Artefacts(**{kind: 0.1}), "--augment")
    require_libraries(Artefacts(bias_field=0.1, rician_noise=0.1), "--augment")
