"""`unet`: sizes, first predictions and losses."""

from __future__ import annotations

import pytest
import torch

from strokereg.plugins.segmenters.unet import UNet
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem


def network(dims=2, **options) -> UNet:
    torch.manual_seed(0)
    return UNet(Problem(dims=dims, labels=5, size=(16,) * dims), UNet.Options(**{"widths": (4, 8, 16)} | options))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_number_of_levels_gives_the_multiple(dims):
    model = network(dims).eval()
    assert model.multiple == 4
    size = (8, 12, 20)[-dims:]
    assert model(torch.rand(1, 1, *size)).shape == (1, 1, *size)
    with pytest.raises(InputError, match=r"unet: the size .* must be multiples of 4"):
        model(torch.rand(1, 1, *(n + 2 for n in size)))


def test_lesions_are_rare_at_first(brains):
    with torch.no_grad():
        assert network().eval()(brains(2, 2).image).sigmoid().mean() < 0.05


def test_the_dice_loss_has_a_weight_and_can_be_off(brains):
    batch = brains(2, 2)
    [(player, full)] = network(dice=1.0).moves(batch)
    [(_, double)] = network(dice=2.0).moves(batch)
    [(_, none)] = network(dice=0.0).moves(batch)
    assert player == "segmenter"
    assert double["dice_loss"].item() == pytest.approx(2 * full["dice_loss"].item())
    assert list(none) == ["cross_entropy"]
