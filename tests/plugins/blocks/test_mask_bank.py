"""A bank of real masks: which are kept and how they are warped (`mask-warp`)."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.roles import noise
from strokereg.plugins.generators.mask_warp import MaskWarp
from strokereg.registry.problem import Problem

STILL = {"turn": 0.0, "shift": 0.0, "scale": 0.0, "elastic": 0.0}


def warp(size=(16, 20), **options):
    return MaskWarp(Problem(dims=len(size), size=size), MaskWarp.Options(**{**STILL, **options})).eval()


def blob(size, low=3, edge=4):
    mask = torch.zeros(1, 1, *size)
    mask[(0, 0, *(slice(low + axis, low + axis + edge) for axis in range(len(size))))] = 1.0
    return mask


def still(model, count=1, flip=1.0):
    z = torch.zeros(count, model.noise)
    z[:, 1] = flip
    return z


@pytest.mark.parametrize("size", [(16, 20), (12, 16, 20)])
def test_without_a_warp_a_mask_comes_out_as_it_went_in(size):
    model, mask = warp(size), blob(size)
    model.keep(mask)
    assert torch.equal(model(still(model)) > 0, mask > 0)
    assert torch.equal(model(still(model, flip=-1.0)) > 0, mask.flip(-1) > 0)


def test_a_quarter_turn_and_a_shift():
    mask = blob((16, 16))
    model = warp((16, 16), turn=90.0)
    model.keep(mask)
    z = still(model)
    z[:, 5] = 1.0  # after which, flip, size and two shifts
    assert torch.equal(model(z)[0, 0] > 0, torch.rot90(mask[0, 0], -1) > 0) or torch.equal(
        model(z)[0, 0] > 0, torch.rot90(mask[0, 0]) > 0
    )
    moving = warp((16, 16), shift=0.125)
    moving.keep(mask)
    z = still(moving)
    z[:, 3] = 1.0  # along x, two voxels
    assert torch.equal(moving(z) > 0, mask.roll(-2, -1) > 0)


def test_only_lesions_enter_and_the_bank_ends():
    model = warp(bank=3)
    model.keep(torch.zeros(4, 1, 16, 20))
    assert int(model.held) == 0
    assert not (model(noise(model, 4)) > 0).any()
    model.keep(torch.cat([torch.zeros(1, 1, 16, 20), *(blob((16, 20), low) for low in range(5))]))
    assert int(model.held) == 3
    assert torch.equal(model.masks[2].float(), blob((16, 20), 2)[0])


def test_every_mask_has_the_same_chance():
    model = warp(bank=4)
    for low in range(4):
        model.keep(blob((16, 20), low))
    torch.manual_seed(0)
    drawn = model(torch.cat([torch.randn(800, 1), still(model, 800)[:, 1:]], 1)) > 0
    firsts = drawn[:, 0].flatten(1).float().argmax(1)
    counts = torch.stack([(firsts == low * 20 + low + 1).sum() for low in (3, 2, 1, 0)])
    assert counts.sum() == 800
    assert counts.min() > 150


@pytest.mark.parametrize("size", [(16, 20), (12, 16, 20)])
def test_the_smallest_lesion_survives_and_stays_small(size):
    model = MaskWarp(Problem(dims=len(size), size=size), MaskWarp.Options()).eval()
    model.keep(blob(size, 6, 1))
    torch.manual_seed(0)
    voxels = (model(noise(model, 200)) > 0).flatten(1).sum(1)
    assert (voxels > 0).float().mean() > 0.95
    assert voxels.float().mean() < 3
    large = MaskWarp(Problem(dims=len(size), size=size), MaskWarp.Options()).eval()
    large.keep(blob(size, 3, 6))
    mean = (large(noise(large, 200)) > 0).flatten(1).sum(1).float().mean()
    assert float(mean) == pytest.approx(6 ** len(size), rel=0.2)
