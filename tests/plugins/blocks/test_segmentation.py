"""What segmenters share: the Dice loss, the initial bias and the player."""

from __future__ import annotations

import pytest
import torch

from strokereg.plugins.blocks.segmentation import expect_rare, segmenter_player, soft_dice
from strokereg.plugins.segmenters.unet import UNet


def test_soft_dice_knows_a_perfect_and_a_wrong_mask():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    sure = (mask * 2 - 1) * 30
    assert soft_dice(sure, mask).item() == pytest.approx(0.0, abs=1e-6)
    assert soft_dice(-sure, mask).item() == pytest.approx(1.0 - 1.0 / 65.0, abs=1e-6)
    empty = torch.zeros_like(mask)
    assert soft_dice(empty - 30, empty).item() == pytest.approx(0.0, abs=1e-6)


def test_heads_start_at_one_percent():
    head = torch.nn.Conv2d(4, 1, 1)
    expect_rare(head)
    assert head.bias.sigmoid().item() == pytest.approx(0.01, abs=1e-3)


@pytest.mark.parametrize("average", [True, False])
def test_the_player_has_all_parameters_and_the_options(average):
    network, options = torch.nn.Linear(2, 1), UNet.Options(lr=0.1, weight_decay=0.2, clip=0.3)
    [(name, player)] = segmenter_player(network, options, average).items()
    assert name == "segmenter"
    assert player.parameters == list(network.parameters())
    assert (player.lr, player.weight_decay, player.clip, player.average) == (0.1, 0.2, 0.3, average)
    assert (player.optimiser, player.schedule) == ("adamw", "onecycle")
