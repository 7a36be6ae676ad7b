"""Batches drawn ahead are those that would be drawn when asked."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from strokereg.core.roles import Batch
from strokereg.core.train.artefacts import KINDS
from strokereg.core.train.augmentation import FULL
from strokereg.core.train.prefetch import Prefetcher
from strokereg.core.train.prepared import write_prepared
from strokereg.core.train.sampler import CasePool, Sampler
from strokereg.registry.problem import Problem


@pytest.fixture
def sampler(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.ones((6, 20, 24), np.uint8)
    labels[2:4, 5:9, 5:9] = 3
    case = write_prepared(tmp_path / "a", "a", rng.uniform(-1, 1, (1, *labels.shape)), labels, 3)
    pytest.importorskip("torchio", reason="TorchIO is not installed")
    how = FULL.model_copy(update=dict.fromkeys(KINDS, 0.5))
    return Sampler([CasePool([case])], Problem(dims=2, labels=4, size=(16, 16)), 5, 1, how)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_number_of_workers_changes_no_batch(sampler, workers):
    ahead = Prefetcher(sampler.batch, workers)
    for step in (0, 1, 2, 3, 10, 11, 4):  # a run, a jump forward and one back
        drawn, wanted = ahead.batch(step, progress=step / 20), sampler.batch(step)
        assert all(torch.equal(getattr(drawn, name), getattr(wanted, name)) for name in ("labels", "image", "mask"))
        assert drawn.progress == step / 20
    ahead.close()


def test_the_next_batches_are_drawn_before_they_are_asked_for():
    drawn = {step: threading.Event() for step in range(10)}

    def draw(step):
        drawn[step].set()
        return Batch(torch.full((1,), step), torch.zeros(1), torch.zeros(1))

    ahead = Prefetcher(draw, 2)
    assert int(ahead.batch(0).labels) == 0
    assert drawn[2].wait(10)
    ahead.close()
    assert not drawn[3].is_set()


def test_a_fault_in_a_thread_is_raised_where_the_batch_is_asked_for():
    def draw(step):
        if step == 1:
            raise ValueError("no such slice")
        return Batch(torch.zeros(1), torch.zeros(1), torch.zeros(1))

    ahead = Prefetcher(draw, 1)
    ahead.batch(0)
    with pytest.raises(ValueError, match="no such slice"):
        ahead.batch(1)
    ahead.close()
