"""The GAN training that `pix2pix` and `spade` share."""

from __future__ import annotations

import pytest
import torch

from strokereg.plugins.blocks.adversarial import ConditionalCritic, gan_players, lsgan_and_l1
from strokereg.plugins.translators.pix2pix import Pix2Pix
from strokereg.registry.problem import Problem


def test_the_two_moves_and_the_weights_of_their_losses(brains):
    batch = brains(2, 2)
    fake = torch.zeros_like(batch.image, requires_grad=True)
    seen = []

    def discriminate(image, labels):
        seen.append((image, labels))
        return torch.full((2, 1, 4, 4), 0.5)

    options = Pix2Pix.Options(adversarial=2.0, l1=3.0, discriminator=4.0)
    moves = dict(lsgan_and_l1(options, discriminate, batch, fake, (fake.detach(), batch.labels)))
    assert list(moves) == ["discriminator", "generator"]
    assert moves["discriminator"]["gan"].item() == pytest.approx(4.0 * (0.25 + 0.25))
    assert moves["generator"]["gan"].item() == pytest.approx(2.0 * 0.25)
    assert moves["generator"]["l1"].item() == pytest.approx(3.0 * batch.image.abs().mean().item())
    assert [image.requires_grad for image, _ in seen] == [False, False, True]


def test_only_the_generator_is_averaged():
    critic, generator = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    players = gan_players(critic, generator, Pix2Pix.Options(lr=0.1, beta1=0.25))
    assert [(name, player.average) for name, player in players.items()] == [
        ("discriminator", False),
        ("generator", True),
    ]
    for player, network in zip(players.values(), (critic, generator), strict=True):
        assert player.parameters == list(network.parameters())
        assert (player.lr, player.betas, player.schedule) == (0.1, (0.25, 0.999), "linear")


@pytest.mark.parametrize("dims", [2, 3])
def test_the_critic_sees_the_labels(dims, brains):
    torch.manual_seed(0)
    critic, batch = ConditionalCritic(Problem(dims=dims, labels=5, size=(16,) * dims), 4), brains(dims, 2)
    assert not torch.equal(critic(batch.image, batch.labels), critic(batch.image, batch.labels.roll(1, 0)))
