"""What goes in and comes out of every built-in."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.errors import InputError
from strokereg.core.roles import Trainable, noise


def inputs(variant, model, batch):
    """The arguments of forward, by role."""
    if variant.role == "generator":
        return (noise(model, len(batch.labels)),)
    if variant.role == "segmenter":
        return (batch.image,)
    return (batch.labels, noise(model, len(batch.labels))) if variant.stochastic else (batch.labels,)


@torch.no_grad()
def test_shapes_and_ranges(variant, dims, brains):
    model, batch = variant.ready(dims), brains(dims, 3)
    out = model(*inputs(variant, model, batch))
    assert out.shape == batch.image.shape
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert isinstance(model, Trainable)
    if variant.role == "translator":
        assert out.abs().max() <= 1.0
        assert out.std() > 0
    if variant.role == "generator":
        assert not torch.equal(out[0], out[1])  # another noise, another mask


@torch.no_grad()
def test_two_channels(variant, brains):
    torch.manual_seed(0)
    if variant.role == "generator":
        return  # masks have one
    from strokereg.registry.catalogue import build

    model = build(variant.name, variant.problem().model_copy(update={"channels": 2}), variant.options).eval()
    batch = brains(2, 2)
    given = inputs(variant, model, batch)
    if variant.role == "segmenter":
        assert model(batch.image.repeat(1, 2, 1, 1)).shape == (2, 1, 16, 16)
    else:
        assert model(*given).shape == (2, 2, 16, 16)


@torch.no_grad()
def test_a_row_does_not_depend_on_its_neighbours(variant, dims, brains):
    model, batch = variant.ready(dims), brains(dims, 3)
    given = inputs(variant, model, batch)
    together = model(*given)
    for row in range(3):
        alone = model(*(value[row : row + 1] for value in given))
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_eval_mode_is_repeatable(variant, brains):
    model = variant.ready()
    given = inputs(variant, model, brains())
    assert torch.equal(model(*given), model(*given))


@torch.no_grad()
def test_an_odd_size_works_or_is_one_sentence(variant, dims, brains):
    if variant.role == "generator":
        return  # its size is that of the problem
    model, batch = variant.build(dims).eval(), brains(dims)
    given = [value[..., :-1] if value.ndim > dims else value for value in inputs(variant, model, batch)]
    try:
        out = model(*given)
    except InputError as error:
        said = str(error)
    else:
        assert out.shape[2:] == given[0].shape[-dims:]
        return
    assert said.startswith(f"{variant.name}: the size")
    assert "must be multiples of" in said


def test_every_trainable_parameter_has_one_player(variant, dims):
    model = variant.build(dims)
    owned = [id(p) for player in model.players().values() for p in player.parameters]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(p) for p in model.parameters() if p.requires_grad}


@pytest.mark.parametrize("seed", [0, 1])
def test_fresh_weights_come_from_the_seed(variant, seed):
    same = zip(variant.build(seed=seed).parameters(), variant.build(seed=0).parameters(), strict=True)
    equal = [torch.equal(a, b) for a, b in same]
    assert all(equal) == (seed == 0 or not equal)  # an untrained method has no weights to draw
