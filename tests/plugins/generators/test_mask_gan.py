"""`mask-gan`: lesion volumes on request, the losses and their moves."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.roles import Batch, noise
from strokereg.core.train.trainer import Trainer, TrainerSettings
from strokereg.plugins.generators.mask_gan import MaskGan
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem

SIZE = 16


def squares(dims, count, seed):
    """Masks of one cube each, edges from 2 to 9 voxels."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(count, 1, *(SIZE,) * dims)
    for row in mask:
        edge = int(torch.randint(2, 10, (), generator=generator))
        start = torch.randint(0, SIZE - edge + 1, (dims,), generator=generator).tolist()
        row[(0, *(slice(s, s + edge) for s in start))] = 1.0
    return Batch(mask[:, 0].long(), mask, mask)


def build(dims=2, **options):
    torch.manual_seed(0)
    small = MaskGan.Options(ngf=8, ndf=8, latent=16, **options)
    return MaskGan(Problem(dims=dims, labels=3, size=(SIZE,) * dims), small)


def train(model, folder, dims, steps, **settings):
    folder.mkdir(exist_ok=True)
    chosen = TrainerSettings(steps=steps, precision="fp32", **settings)
    return Trainer(model, "mask-gan", lambda step, *_: squares(dims, 16, step), chosen, folder).fit()


@pytest.mark.parametrize(("dims", "loss"), [(2, "wasserstein"), (2, "lsgan"), (3, "lsgan")])
def test_asking_for_more_gives_more(dims, loss, tmp_path):
    model = train(build(dims, volume=True, loss=loss, lr=2e-3), tmp_path, dims, 120)
    z = noise(model, 64, torch.Generator().manual_seed(0))
    voxel_ml = 0.064
    with torch.no_grad():
        drawn = [
            float((model(model.for_volume(z, voxels * voxel_ml, voxel_ml)) > 0).sum()) / len(z)
            for voxels in (3**dims, 6**dims, 9**dims)
        ]
    assert drawn[0] < drawn[1] < drawn[2]
    assert drawn[2] > 2.5 * drawn[0]
    assert drawn[1] == pytest.approx(6**dims, rel=0.6)


def test_volumes_are_counted_once_each_and_survive_a_resume(tmp_path):
    whole = train(build(volume=True), tmp_path / "whole", 2, 4)
    logs = torch.cat([squares(2, 16, step).mask.flatten(1).sum(1) for step in range(4)]).double().log1p()
    assert whole.volumes.tolist() == pytest.approx([64, float(logs.mean()), float(logs.var(correction=0))], rel=1e-5)

    def stop(step, losses):
        if step == 3:
            raise KeyboardInterrupt

    (tmp_path / "cut").mkdir()
    settings = TrainerSettings(steps=4, precision="fp32", checkpoint_seconds=0)
    for on_step in (stop, lambda step, losses: None):
        trainer = Trainer(
            build(volume=True), "mask-gan", lambda step, *_: squares(2, 16, step), settings, tmp_path / "cut", on_step
        )
        if on_step is stop:
            with pytest.raises(KeyboardInterrupt):
                trainer.fit()
        else:
            resumed = trainer.fit()
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_noise_is_one_wider_and_forward_stays_as_it_is():
    model = build(volume=True)
    assert model.noise == 17
    assert model(noise(model, 2)).shape == (2, 1, SIZE, SIZE)
    assert build().noise == 16
    assert "volumes" not in build().state_dict()


def test_the_first_masks_of_wasserstein_are_empty():
    """Not half of the image, from where the size would swing."""
    model = build()
    with torch.no_grad():
        assert (model(noise(model, 32)) > 0).float().mean() < 0.05


def test_volumes_that_cannot_be_asked_for():
    with pytest.raises(InputError, match="train it with --set volume=true"):
        build().for_volume(torch.zeros(1, 16), 5.0, 0.1)
    with pytest.raises(InputError, match="train it first"):
        build(volume=True).for_volume(torch.zeros(1, 17), 5.0, 0.1)


@pytest.mark.parametrize(("slope", "penalty"), [(1.0, 0.0), (3.0, 4.0)])
def test_the_gradient_penalty_asks_for_slope_one(slope, penalty):
    model = MaskGan(Problem(labels=3, size=(8, 8)), MaskGan.Options(ngf=2, ndf=2))
    plane = torch.nn.Linear(64, 1)
    plane.weight.data *= slope / plane.weight.data.norm()
    model.critic = torch.nn.Sequential(torch.nn.Flatten(), plane)
    real, fake = torch.randn(4, 1, 8, 8), torch.randn(4, 1, 8, 8)
    assert model.gradient_penalty(real, fake).item() == pytest.approx(penalty, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(("loss", "moves"), [("wasserstein", 3), ("lsgan", 1), ("jensen-shannon", 1)])
def test_the_critic_of_wasserstein_moves_more_often(loss, moves):
    model = MaskGan(Problem(labels=3, size=(8, 8)), MaskGan.Options(ngf=2, ndf=2, loss=loss))
    mask = torch.zeros(2, 1, 8, 8)
    played = [name for name, _ in model.moves(Batch(mask[:, 0].long(), mask, mask))]
    assert played == ["critic"] * moves + ["generator"]
