"""`pix2pix`: its generators, dropout, noise and history pool."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from strokereg.plugins.blocks.resnet_generator import ResNetGenerator
from strokereg.plugins.translators.pix2pix import Pix2Pix
from strokereg.registry.problem import Problem


def network(**options) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix(Problem(labels=5, size=(16, 16)), Pix2Pix.Options(**{"ngf": 4, "ndf": 4, "blocks": 2} | options))


def test_the_generator_is_a_choice():
    assert isinstance(network(generator="resnet").generator, ResNetGenerator)
    assert network(generator="resnet").multiple == 4
    assert network(levels=1).multiple == 2


@pytest.mark.parametrize("generator", ["unet", "resnet"])
def test_dropout_is_off_at_inference(generator, brains):
    model, labels = network(generator=generator, dropout=0.5, levels=2), brains().labels
    assert not torch.equal(model(labels), model(labels))
    model.eval()
    assert torch.equal(model(labels), model(labels))


def test_the_discriminators_noise_fades(brains):
    model = network(dropout=0.0, noise=5.0, pool=0)
    batch = dataclasses.replace(brains(), progress=1.0)
    first, again = (float(next(model.moves(batch))[1]["gan"]) for _ in range(2))
    assert first == again
    batch = dataclasses.replace(batch, progress=0.0)
    assert float(next(model.moves(batch))[1]["gan"]) != first


def test_the_pool_keeps_a_fake_with_its_labels(brains):
    model, batch = network(dropout=0.0, pool=4), brains()
    next(model.moves(batch))
    with torch.no_grad():
        assert torch.allclose(model.pool.items[:2, :1], model(batch.labels), atol=1e-6)
    assert torch.equal(model.pool.items[:2, 1].long(), batch.labels)
