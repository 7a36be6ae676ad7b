"""Every built-in through the one trainer: it learns, resumes bit-exactly, and its players keep to themselves."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.checkpoint import load_tree
from strokereg.core.history import series
from strokereg.core.roles import noise
from strokereg.core.trainer import Trainer, TrainerSettings


class Stopped(Exception):
    """Stands for a crash between two steps."""


def trainer_of(variant, folder, draw, dims=2, on_step=lambda step, losses: None, weights=0, options=None, **settings):
    folder.mkdir(exist_ok=True)
    plain = {"steps": 5, "precision": "fp32", "checkpoint_every": 2}
    settings = TrainerSettings.model_validate(plain | settings)
    return Trainer(variant.build(dims, weights, **(options or {})), variant.name, draw, settings, folder, on_step)


def trees_equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return list(a) == list(b) and all(trees_equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(trees_equal, a, b))
    return a == b


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resuming_is_bit_exact(variant, precision, brains, tmp_path):
    def draw(step, device, progress):
        return brains(2, 2, seed=step)

    def stop(step, losses):
        if step == 3:
            raise Stopped

    trainer = trainer_of(variant, tmp_path / "whole", draw, precision=precision)
    whole = trainer.fit()
    if not trainer.step:
        return  # untrained, and looks at no batch: there is nothing to resume
    with pytest.raises(Stopped):
        trainer_of(variant, tmp_path / "cut", draw, precision=precision, on_step=stop).fit()
    assert load_tree(tmp_path / "cut" / "checkpoint.safetensors")["step"] == 2
    # Other first weights: all that counts must come from the checkpoint.
    resumed = trainer_of(variant, tmp_path / "cut", draw, precision=precision, weights=7).fit()
    assert trees_equal(dict(whole.state_dict()), dict(resumed.state_dict()))
    last = [load_tree(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "cut")]
    assert trees_equal(*last)
    if not whole.players():
        return  # nobody moved, so there are no losses
    rows = [(tmp_path / name / "history.csv").read_text() for name in ("whole", "cut")]
    assert rows[0] == rows[1]
    assert len(series(tmp_path / "cut" / "history.csv")) >= 1


def test_the_seed_decides(variant, brains, tmp_path):
    def weights(name, seed):
        model = trainer_of(variant, tmp_path / name, lambda *_: brains(), seed=seed, steps=3).fit()
        return dict(model.state_dict())

    first = weights("first", 0)
    assert trees_equal(first, weights("again", 0))
    # The U-Net and a method that only remembers draw nothing themselves: their randomness is the batch's.
    if variant.role != "segmenter" and variant.build().players():
        assert not trees_equal(first, weights("other", 1))


def test_a_move_changes_its_player_only(variant, dims, brains, tmp_path, monkeypatch):
    trainer = trainer_of(variant, tmp_path, lambda *_: brains(dims), dims, steps=2)
    play, moved = trainer._move, []

    def watch(name, loss, progress):
        before = {n: [p.detach().clone() for p in player.parameters] for n, player in trainer.players.items()}
        grads = {n: [p.grad for p in player.parameters] for n, player in trainer.players.items() if n != name}
        play(name, loss, progress)
        moved.append(name)
        for other, player in trainer.players.items():
            same = [torch.equal(a, b) for a, b in zip(before[other], player.parameters, strict=True)]
            if other == name:
                assert not all(same)
            else:
                assert all(same)
                assert all(a is p.grad for a, p in zip(grads[other], player.parameters, strict=True))

    monkeypatch.setattr(trainer, "_move", watch)
    trainer.fit()
    assert set(moved) == set(trainer.players)


def masks_off(model, batch):
    """Mean distance of drawn lesion masks from the one real mask."""
    with torch.no_grad():
        drawn = model(noise(model, 16, torch.Generator().manual_seed(0))).sigmoid()
    return float((drawn - batch.mask[:1]).abs().mean())


def test_one_batch_can_be_learnt(variant, dims, brains, tmp_path):
    """A generator comes to draw the one mask that it is shown, a segmenter fits the lesions of two brains.

    Translators are asked for the image itself, in `test_translators`.
    """
    if variant.role == "translator":
        return
    if variant.role == "generator":
        batch = brains(dims, 1)
        batch = type(batch)(
            *(value.repeat(4, *(1,) * (value.ndim - 1)) for value in (batch.labels, batch.image, batch.mask))
        )
    else:
        batch = brains(dims, 2)
    steps = {"generator": 60, "segmenter": 50}[variant.role]
    faster = {"lr": 0.1} if variant.role == "segmenter" else {}  # its rate starts low and ends at nothing
    trainer = trainer_of(variant, tmp_path, lambda *_: batch, dims, options=faster, steps=steps, checkpoint_every=steps)
    before = masks_off(trainer.model, batch) if variant.role == "generator" else None
    model = trainer.fit()
    if not trainer.players:
        drawn = (model(noise(model, 64)) > 0).float().mean(tuple(range(1, dims + 2)))
        assert drawn.min() > 0
        assert drawn.max() < 0.5
        return
    if variant.role == "generator":
        assert masks_off(model, batch) < 0.5 * before
        return
    curves = series(tmp_path / "history.csv")
    start, end = (sum(curve[place][1] for curve in curves.values()) for place in (0, -1))
    assert end < 0.5 * start
