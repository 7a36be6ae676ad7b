"""What every translator learns: the image of its labels, and that a label stands for a place."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.errors import InputError
from strokereg.core.history import series
from strokereg.core.problem import Problem
from strokereg.core.roles import Batch, noise
from strokereg.core.trainer import Trainer, TrainerSettings
from strokereg.registry.catalogue import build, find


def fitted(translator, dims, draw, folder, steps, **options):
    """The fresh and the trained network, both in eval mode."""
    settings = TrainerSettings(steps=steps, precision="fp32", checkpoint_every=steps)
    trainer = Trainer(translator.build(dims, **options), translator.name, draw, settings, folder)
    return translator.build(dims, **options).eval(), trainer.fit()


@torch.no_grad()
def image_of(model, labels):
    z = noise(model, len(labels), torch.Generator().manual_seed(0)) if hasattr(model, "noise") else None
    return model(labels) if z is None else model(labels, z)


@pytest.mark.slow
def test_one_batch_can_be_learnt(translator, dims, brains, tmp_path):
    """Paired: the distance from the image halves. Unpaired: no image belongs to the labels, but both cycles close."""
    batch = brains(dims, 2)
    before, after = fitted(translator, dims, lambda *_: batch, tmp_path, steps=100 if dims == 2 else 40)
    if not after.players():
        return  # untrained: there is nothing to learn
    if find(translator.name).spec.paired:
        start, end = (float((image_of(m, batch.labels) - batch.image).abs().mean()) for m in (before, after))
    else:
        curves = [curve for name, curve in series(tmp_path / "history.csv").items() if "/cycle" in name]
        assert len(curves) == 2
        start, end = (sum(curve[place][1] for curve in curves) for place in (0, -1))
    assert end < 0.5 * start


@pytest.mark.slow
def test_a_label_edit_changes_the_image_there(translator, dims, brains, tmp_path):
    """After a short training on one brain after the other; wide enough that a residual network learns in so few."""
    wider = {"ngf": 8} if "ngf" in translator.options else {}
    _, model = fitted(
        translator, dims, lambda step, *_: brains(dims, 1, seed=step), tmp_path, 60 if dims == 2 else 30, **wider
    )
    labels = brains(dims, 2, seed=1000).labels
    edited = labels.clone()
    inside = torch.zeros_like(labels, dtype=torch.bool)
    inside[(slice(None), *(slice(3, 6),) * dims)] = True
    edited[inside] = 4
    change = (image_of(model, edited) - image_of(model, labels)).abs()[:, 0]
    assert change[inside].mean() > 0
    assert change[inside].mean() > 2 * change[~inside].mean()


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

    settings = TrainerSettings(steps=120, precision="fp32", checkpoint_every=120)
    model = Trainer(model, translator.name, draw, settings, tmp_path).fit()
    batch = draw()
    image = image_of(model, batch.labels)
    assert image.shape == batch.image.shape
    lesion, brain = batch.labels == 4, (batch.labels > 0) & (batch.labels < 4)
    assert image[:, 0][lesion].mean() > image[:, 0][brain].mean() + 0.3
    assert image[:, 1][lesion].mean() < image[:, 1][brain].mean() - 0.3


@pytest.mark.parametrize("option", ["ngf=-1", "lr=0", "nfg=8"])
def test_a_wrong_option_is_one_sentence(translator, option):
    key, _, value = option.partition("=")
    if key == "lr" and "lr" not in translator.options:
        pytest.skip("has no rate")
    with pytest.raises(InputError, match=key) as refused:
        build(translator.name, translator.problem(), {**translator.options, key: value})
    assert "\n" not in str(refused.value)
