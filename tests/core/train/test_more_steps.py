"""A training that is given more steps goes on from where it stopped."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.roles import Batch
from strokereg.core.scan.grid import Preparation
from strokereg.core.train.record import CHECKPOINT, HISTORY, RECORD, WEIGHTS, Record
from strokereg.core.train.runs import train_run
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem


def record(steps):
    return Record(
        architecture="unet",
        role="segmenter",
        problem=Problem(size=(16, 16)),
        preparation=Preparation(),
        options={"widths": (4, 8)},
        labels=TISSUES.names,
        trainer={"steps": steps, "checkpoint_seconds": 0, "device": "cpu", "precision": "fp32"},
    )


def draw(step, device, progress):
    image = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(step))
    return Batch(torch.zeros(2, 16, 16, dtype=torch.int64), image, (image > 0.7).float(), progress)


def interrupted(folder, total, at):
    """Ctrl-C in a step of a training of so many; gives the steps until then."""
    seen = []

    def stop(step, losses):
        seen.append(step)
        if step == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(folder, record(total), draw, stop)
    return seen


def steps_of(folder, total, **how):
    """The steps that a call does, of a training of so many in all."""
    seen = []
    train_run(folder, record(total), draw, lambda step, losses: seen.append(step), **how)
    return seen


def test_more_steps_go_on_from_where_the_training_stopped(tmp_path):
    assert steps_of(tmp_path, 6, keep_checkpoint=True) == [1, 2, 3, 4, 5, 6]
    assert (tmp_path / CHECKPOINT).is_file()
    first = (tmp_path / WEIGHTS).read_bytes()
    assert steps_of(tmp_path, 8, keep_checkpoint=True) == [7, 8]
    found = Record.read(tmp_path)
    assert (found.done, found.trainer["steps"], found.earlier_steps) == (True, 8, (6,))
    assert (tmp_path / WEIGHTS).read_bytes() != first
    steps = [line.partition(",")[0] for line in (tmp_path / HISTORY).read_text().splitlines()[1:]]
    assert steps == [str(step) for step in range(1, 9) for _ in range(2)]  # of two losses
    assert steps_of(tmp_path, 8) == []
    assert Record.read(tmp_path).earlier_steps == (6,)
    with pytest.raises(InputError, match=r"holds another run of unet \(--steps 8, now 6\)"):
        steps_of(tmp_path, 6)


def test_more_steps_of_an_interrupted_run_go_on_too_and_can_be_interrupted(tmp_path):
    assert interrupted(tmp_path, 6, at=5) == [1, 2, 3, 4, 5]
    assert interrupted(tmp_path, 9, at=7) == [5, 6, 7]
    assert steps_of(tmp_path, 9) == [7, 8, 9]
    assert Record.read(tmp_path).earlier_steps == (6,)


def test_more_steps_without_a_checkpoint_are_refused_with_the_way_out(tmp_path):
    steps_of(tmp_path, 6)
    before = (tmp_path / RECORD).read_bytes()
    with pytest.raises(InputError, match=r"for 6 steps and holds no checkpoint.*strokereg train unet --from /"):
        steps_of(tmp_path, 8)
    assert (tmp_path / RECORD).read_bytes() == before
