"""`cyclegan`: unpaired in earnest, with pools that keep images and label maps that are label maps."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from strokereg.core.train.trainer import Trainer, TrainerSettings
from strokereg.plugins.translators.cyclegan import CycleGan, hardened, too_dark
from strokereg.registry.catalogue import find
from strokereg.registry.problem import Problem


def network(**options) -> CycleGan:
    torch.manual_seed(0)
    options = {"ngf": 4, "ndf": 4, "blocks": 1, "pool": 4} | options
    return CycleGan(Problem(labels=5, size=(16, 16)), CycleGan.Options(**options))


def test_it_is_registered_as_unpaired():
    assert find("cyclegan").spec.paired is False


def test_the_mask_of_the_image_is_not_looked_at(brains):
    batch = dataclasses.replace(brains(), mask=torch.full((2, 1, 16, 16), torch.nan))
    losses = [value for _, named in network().moves(batch) for value in named.values()]
    assert all(value.isfinite() for value in losses)


def test_labels_and_image_are_never_compared(brains):
    """With an image of other cases in the same batch, no loss on the labels' side changes, and none the other way."""
    here, there = brains(2, 2, seed=0), brains(2, 2, seed=1)

    def losses(batch):
        return {f"{who}/{name}": value.item() for who, named in network().moves(batch) for name, value in named.items()}

    own, other = losses(here), losses(dataclasses.replace(here, image=there.image))
    assert own["generators/cycle_labels"] == other["generators/cycle_labels"]
    assert own["generators/gan_image"] == other["generators/gan_image"]
    assert own["generators/cycle_image"] != other["generators/cycle_image"]
    relabelled = losses(dataclasses.replace(here, labels=there.labels))
    assert own["generators/cycle_image"] == relabelled["generators/cycle_image"]
    assert own["generators/gan_labels"] == relabelled["generators/gan_labels"]
    assert own["generators/cycle_labels"] != relabelled["generators/cycle_labels"]


def test_both_pools_keep_what_was_made(brains, tmp_path):
    def draw(step, *_):
        return brains(2, 2, seed=step)

    model = Trainer(network(), "cyclegan", draw, TrainerSettings(steps=6, precision="fp32"), tmp_path).fit()
    assert int(model.images.filled) == int(model.maps.filled) == 4
    kept = model.images.items.flatten(1)
    assert len({tuple(row.tolist()) for row in kept}) == 4
    assert torch.equal(model.maps.items.sum(1), torch.ones(4, 16, 16))
    assert set(model.maps.items.unique().tolist()) <= {0.0, 1.0}


def test_a_hard_map_carries_the_gradient_of_the_soft_one():
    logits = torch.randn(2, 5, 4, 4, requires_grad=True)
    maps, weights = hardened(logits), torch.randn(2, 5, 4, 4)
    assert torch.allclose(maps.sum(1), torch.ones(2, 4, 4))
    assert torch.equal(maps.argmax(1), logits.argmax(1))
    (slope,) = torch.autograd.grad((maps * weights).sum(), logits)
    (soft,) = torch.autograd.grad((logits.softmax(1) * weights).sum(), logits)
    assert torch.allclose(slope, soft)


def test_lesions_are_compared_with_the_brightest_voxels_of_other_images():
    image, lesion = torch.full((2, 4, 4), -0.5), torch.zeros(2, 4, 4, dtype=torch.bool)
    image[1, 0, :2], lesion[0, 1, :2] = torch.tensor([0.2, 0.6]), True
    fake = torch.full((2, 4, 4), -0.5, requires_grad=True)
    off = too_dark(fake, lesion, image)
    assert off.item() == pytest.approx(0.9)  # 0.4 and -0.5
    (slope,) = torch.autograd.grad(off, fake)
    assert (slope[lesion] < 0).all()
    assert (slope[~lesion] == 0).all()
    assert too_dark(fake, torch.zeros_like(lesion), image).item() == 0.0
