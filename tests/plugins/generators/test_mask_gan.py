"""`mask-gan`: lesion volumes on request, the losses and their moves."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.roles import Batch, noise
from strokereg.core.train.trainer import Trainer, TrainerSettings
from strokereg.plugins.generators.mask_gan import MaskGan, threshold
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
def test_a_volume_that_is_asked_for_is_drawn(dims, loss, tmp_path):
    model = train(build(dims, volume=True, loss=loss, lr=2e-3), tmp_path, dims, 2)
    z = noise(model, 64, torch.Generator().manual_seed(0))
    voxel_ml = 0.064
    for voxels in (3**dims, 6**dims, 9**dims):
        with torch.no_grad():
            drawn = (model(model.for_volume(z, voxels * voxel_ml, voxel_ml)) > 0).flatten(1).sum(1)
        assert (drawn - voxels).abs().max() <= 2


def test_sizes_vary_as_those_of_the_training_masks_from_the_first_steps(tmp_path):
    model = train(build(volume=True), tmp_path, 2, 8)
    with torch.no_grad():
        drawn = (model(noise(model, 400, torch.Generator().manual_seed(0))) > 0).flatten(1).sum(1).float().log()
    real = torch.cat([squares(2, 16, step).mask.flatten(1).sum(1) for step in range(8)]).log()
    assert float(drawn.mean()) == pytest.approx(float(real.mean()), abs=0.15)
    assert float(drawn.std()) == pytest.approx(float(real.std()), rel=0.2)


def test_a_threshold_leaves_so_many_voxels_above_it():
    logits = torch.randn(3, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    above = logits > threshold(logits, torch.tensor([0.2, 7.0, 300.4]))
    assert above.flatten(1).sum(1).tolist() == [1, 7, 300]
    shifted = threshold(logits + 5.0, torch.tensor([0.2, 7.0, 300.4]))
    assert torch.allclose(shifted, threshold(logits, torch.tensor([0.2, 7.0, 300.4])) + 5.0, atol=1e-3)


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


def test_it_is_pretrained_on_a_folder_and_then_trained_on_the_cases(tmp_path, write_ball):
    """The masks of the cases are empty here, so the others come from the folder. A finished run forgets them."""
    for number in range(3):
        write_ball(tmp_path / f"sub-{number}.nii.gz", (30, -20, 10), 25, 4.0)
    model = build(pretraining=0.5, folder=str(tmp_path))
    empty = torch.zeros(8, 1, SIZE, SIZE)
    brains = torch.ones(8, SIZE, SIZE, dtype=torch.int64)
    shown = []
    for step in range(20):
        batch = Batch(brains, empty, empty, step / 20)
        shown.append(bool(model.training_masks(batch).any()))
    looks = model.library.looks
    assert shown == [False] * looks + [True] * (10 - looks) + [False] * 10
    assert not model.library.masks.any()
    with pytest.raises(InputError, match="pre-training needs a folder of lesion masks"):
        build(pretraining=0.5)
