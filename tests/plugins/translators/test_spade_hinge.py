"""`spade-hinge`: its losses, its spectral norm and its style encoder."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils import parametrize

from strokereg.core.roles import noise
from strokereg.core.train.trainer import Trainer, TrainerSettings
from strokereg.plugins.translators.spade_hinge import SpadeHinge
from strokereg.registry.problem import Problem

SMALL = {"ngf": 4, "ndf": 4, "hidden": 4, "noise": 8}


def network(dims=2, **options) -> SpadeHinge:
    torch.manual_seed(0)
    return SpadeHinge(Problem(dims=dims, labels=5, size=(16,) * dims), SpadeHinge.Options(**SMALL, **options))


def test_the_rates_of_the_two_players():
    players = network().players()
    assert players["generator"].lr == pytest.approx(1e-4)
    assert players["discriminator"].lr == pytest.approx(4e-4)
    assert {player.betas for player in players.values()} == {(0.0, 0.9)}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, {"gan", "features"}),
        ({"encoder": True}, {"gan", "features", "kl"}),
        ({"l1": 10, "features": 0}, {"gan", "l1"}),
    ],
)
def test_the_generator_pays_for_what_is_asked(options, named, brains):
    moves = dict(network(**options).moves(brains()))
    assert set(moves["discriminator"]) == {"gan"}
    assert set(moves["generator"]) == named


def test_the_hinge_at_logits_of_zero_and_at_sure_ones(brains):
    """max(0, 1 - real) + max(0, 1 + fake): 2 where the discriminator knows nothing, 0 where it is sure."""
    model = network()
    model.evaluate = lambda image, labels: ([torch.zeros(2, 1, 2, 2)] * 2, [])
    assert float(next(model.moves(brains()))[1]["gan"]) == 2.0
    real = brains().image
    model.evaluate = lambda image, labels: ([torch.full((1,), 3.0 if torch.equal(image, real) else -3.0)] * 2, [])
    assert float(next(model.moves(brains()))[1]["gan"]) == 0.0


def test_one_discriminator_sees_half_the_size(brains):
    model, batch = network(), brains()
    logits, features = model.evaluate(batch.image, batch.labels)
    assert len(features) == 8
    assert [value.shape[-1] for value in features] == [8, 4, 4, 4, 4, 4, 4, 4]
    assert [value.shape[-1] for value in logits] == [4, 4]


@pytest.mark.parametrize("dims", [2, 3])
def test_spectral_norm_holds_convolutions_at_one(dims, brains):
    model = network(dims)
    batch = brains(dims)
    for _ in range(20):  # power iterations
        model(batch.labels, noise(model, 2))
    normed = [module for module in model.generator.modules() if parametrize.is_parametrized(module)]
    assert len(normed) >= 2 * len(model.generator.blocks)
    for conv in normed:
        assert float(torch.linalg.matrix_norm(conv.weight.detach().flatten(1), 2)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_encoder_learns_with_the_generator(dims, brains, tmp_path):
    batch = brains(dims)
    trainer = Trainer(network(dims, encoder=True), "spade-hinge", lambda *_: batch, TrainerSettings(steps=3), tmp_path)
    before = [p.detach().clone() for p in trainer.model.encoder.parameters()]
    owned = {id(p) for p in trainer.players["generator"].parameters}
    assert owned >= {id(p) for p in trainer.model.encoder.parameters()}
    model = trainer.fit()
    assert not any(torch.equal(a, b) for a, b in zip(before, model.encoder.parameters(), strict=True))
    # What is delivered never reads an image: z is noise.
    assert model(batch.labels, noise(model, 2)).shape == batch.image.shape


def test_the_style_is_standard_normal_where_the_encoder_says_nothing(brains):
    model = network(encoder=True)
    model.encoder.forward = lambda image: (torch.zeros(len(image), 8), torch.zeros(len(image), 8))
    z, kl = model.style(torch.zeros(4000, 1, 16, 16))
    assert float(kl) == 0.0
    assert float(z.std()) == pytest.approx(1.0, abs=0.05)
