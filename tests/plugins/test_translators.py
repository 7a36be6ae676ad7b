"""What holds for every built-in translator beside the contract, which `test_conformance` holds it to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strokereg.core.cohort.labels import LabelTable
from strokereg.core.roles import Batch, noise
from strokereg.core.synthesis.cases import CaseMaker, SynthesisSettings
from strokereg.core.synthesis.composition import Composition
from strokereg.core.synthesis.placement import Prior
from strokereg.core.train.prepared import write_prepared
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


class Cube(torch.nn.Module):
    """A generator of one mask."""

    noise = 1

    def __init__(self, dims):
        super().__init__()
        self.dims = dims

    def forward(self, z):
        mask = -torch.ones(len(z), 1, *(16,) * self.dims)
        mask[(slice(None), 0, *(slice(6, 9),) * self.dims)] = 1.0
        return mask


@pytest.mark.parametrize("dims", [2, 3])
def test_it_can_edit_real_images(translator, brains, tmp_path, dims):
    """Two contrasts; the scan stays where no label changed, up to what the network sees of the new lesion."""
    problem = Problem(dims=dims, labels=5, channels=2, size=(16,) * dims)
    torch.manual_seed(0)
    model = build(translator.name, problem, translator.options).eval()
    for parameter in model.parameters():  # some start with a head of zeros, which shows no labels
        torch.nn.init.normal_(parameter, 0.0, 0.1)
    one = brains(dims, 1)
    labels = one.labels.numpy().astype(np.uint8)
    image = torch.cat([one.image, -one.image], 1).numpy()
    image = image.transpose(1, 0, 2, 3) if dims == 2 else image[0]
    scan = write_prepared(tmp_path / "scan", "s", image, labels if dims == 2 else labels[0], 4)
    table = LabelTable(("background", "csf", "grey", "white", "lesion"))
    stochastic, nowhere = find(translator.name).spec.stochastic, Prior(np.zeros((0, 3)), dims)
    settings = SynthesisSettings(
        Cube(dims), model, stochastic, table, problem, nowhere, 1.0, compose=Composition.EDITED
    )
    (_, (made, new)), (_, (again, _)) = (
        next(CaseMaker([scan], settings, 1, 0).cases(lambda index: False)) for _ in range(2)
    )
    assert np.array_equal(made, again)
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1.0
    assert (made[:, new == 0] == -1.0).all()
    hosts = [np.asarray(scan.image)[..., ::turn] for turn in (1, -1)]
    change = min(np.abs(made - host)[:, new > 0].mean() for host in hosts)
    assert change > 0.0
    healthy = SynthesisSettings(Cube(dims), model, stochastic, table, problem, nowhere, 0.0, compose=Composition.EDITED)
    clean = write_prepared(tmp_path / "clean", "c", scan.image, np.where(scan.labels == 4, 3, scan.labels), 4)
    [(_, (kept, _))] = CaseMaker([clean], healthy, 1, 0).cases(lambda index: False)
    assert any(np.array_equal(kept[:, new > 0], host[:, new > 0]) for host in hosts)
