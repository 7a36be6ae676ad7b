"""The residual generator of pix2pix and CycleGAN."""

from __future__ import annotations

import torch

from strokereg.plugins.blocks.resnet_generator import ResNetGenerator
from strokereg.registry.problem import Problem


def test_the_residual_generator_halves_no_odd_size():
    generator = ResNetGenerator(Problem(labels=5, size=(18, 16)), 5, 1, 4, 1)
    assert generator.multiple == 2
    assert generator(torch.rand(1, 5, 18, 16)).shape == (1, 1, 18, 16)


def test_dropout_is_on_in_training_only():
    torch.manual_seed(0)
    generator, x = ResNetGenerator(Problem(labels=5, size=(16, 16)), 5, 1, 4, 2, dropout=0.5), torch.rand(1, 5, 16, 16)
    assert not torch.equal(generator(x), generator(x))
    generator.eval()
    assert torch.equal(generator(x), generator(x))
