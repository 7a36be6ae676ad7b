"""What holds for every built-in translator beside the contract, which `test_conformance` holds it to."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.roles import Batch, noise
from strokereg.core.train.trainer import Trainer, TrainerSettings
from strokereg.registry.catalogue import build, find
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem


@torch.no_grad()
def image_of(model, labels):
    z = noise(model, len(labels), torch.Generator().manual_seed(0)) if hasattr(model, "noise") else None
    return model(labels) if z is None else model(labels, z)


@pytest.mark.slow
def test_dwi_and_adc_are_learnt_together(translator, brains, tmp_path):
    """The second channel shows the lesion dark where the first shows it bright."""
    if not find(translator.name).spec.paired:
        pytest.skip("tells its channels apart by their distribution, which takes longer than a test")
    problem = Problem(labels=5, channels=2, size=(16, 16))
    torch.manual_seed(0)
    model = build(
        translator.name, problem, {**translator.options, **({"ngf": 8} if "ngf" in translator.options else {})}
    )
    if not model.players():
        pytest.skip("untrained: its contrasts are random")

    def draw(*_):
        one = brains(2, 4)
        return Batch(one.labels, torch.cat([one.image, -one.image * (one.labels > 0)[:, None]], 1), one.mask)

    settings = TrainerSettings(steps=120, precision="fp32")
    model = Trainer(model, translator.name, draw, settings, tmp_path).fit()
    batch = draw()
    image = image_of(model, batch.labels)
    assert image.shape == batch.image.shape
    lesion, brain = batch.labels == 4, (batch.labels > 0) & (batch.labels < 4)
    assert image[:, 0][lesion].mean() > image[:, 0][brain].mean() + 0.3
    assert image[:, 1][lesion].mean() < image[:, 1][brain].mean() - 0.3


@pytest.mark.parametrize("dims", [2, 3])
def test_two_contrasts_are_two_channels(translator, brains, tmp_path, dims):
    """In training and out of it, for unpaired and untrained ones too."""
    problem = Problem(dims=dims, labels=5, channels=2, size=(16,) * dims)
    torch.manual_seed(0)
    model = build(translator.name, problem, translator.options)
    one = brains(dims, 2)
    batch = Batch(one.labels, torch.cat([one.image, -one.image * (one.labels > 0)[:, None]], 1), one.mask)
    settings = TrainerSettings(steps=2, precision="fp32")
    model = Trainer(model, translator.name, lambda *_: batch, settings, tmp_path).fit()
    image = image_of(model, batch.labels)
    assert image.shape == batch.image.shape
    assert image.abs().max() <= 1
    brain = batch.labels > 0
    assert (image[:, 0][brain] - image[:, 1][brain]).abs().mean() > 1e-4


@pytest.mark.parametrize("option", ["ngf=-1", "lr=0", "nfg=8"])
def test_a_wrong_option_is_one_sentence(translator, option):
    key, _, value = option.partition("=")
    if key == "lr" and "lr" not in translator.options:
        pytest.skip("has no rate")
    with pytest.raises(InputError, match=key) as refused:
        build(translator.name, translator.problem(), {**translator.options, key: value})
    assert "\n" not in str(refused.value)
