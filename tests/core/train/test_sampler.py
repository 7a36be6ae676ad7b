"""Batches are a pure function of seed and step, have the shares that were asked for, and can be prefetched."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from strokereg.core.roles import Batch
from strokereg.core.train import augmentation
from strokereg.core.train import sampler as train_sampler
from strokereg.core.train.artefacts import KINDS
from strokereg.core.train.augmentation import FULL, Augmentation
from strokereg.core.train.prepared import write_prepared
from strokereg.core.train.sampler import CasePool, Prefetcher, Sampler, cut
from strokereg.registry.problem import Problem

LESION = 4


@pytest.fixture
def cases(tmp_path):
    """Two cases whose image value tells which case and which slice it is."""
    made = []
    for number, shape in enumerate([(6, 12, 10), (4, 12, 10)]):
        labels = np.ones(shape, np.uint8)
        labels[2, 3:6, 3:6] = LESION
        image = np.broadcast_to(0.1 * (number + 1) + 0.01 * np.arange(shape[0])[:, None, None], shape)[None]
        made.append(write_prepared(tmp_path / str(number), str(number), image, labels, LESION))
    return made


def sampler(sources, dims=2, size=(12, 10), batch=8, seed=0, **more):
    return Sampler(sources, Problem(dims=dims, labels=LESION + 1, size=size), batch, seed, **more)


def equal(a, b):
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("labels", "image", "mask"))


@pytest.mark.parametrize("augmentation", [None, FULL])
def test_a_batch_is_a_function_of_seed_and_step(cases, augmentation):
    first, second = (sampler([CasePool(cases)], augmentation=augmentation) for _ in range(2))
    for step in range(5):  # the second has drawn nothing before step 5
        first.batch(step)
    assert equal(first.batch(5), second.batch(5))
    assert not equal(first.batch(5), first.batch(6))
    assert not equal(first.batch(5), sampler([CasePool(cases)], seed=1, augmentation=augmentation).batch(5))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_slices_with_a_lesion(cases, share):
    batch = sampler([CasePool(cases, lesion_share=share)], batch=200).batch(0)
    seen = float(batch.mask.flatten(1).any(1).float().mean())
    assert seen == 1.0 if share else 0.05 < seen < 0.5
    assert torch.equal(batch.mask[:, 0] > 0, batch.labels == LESION)


def test_sources_fill_their_shares(cases):
    mixed = sampler([CasePool(cases[:1], 0.75), CasePool(cases[1:], 0.25)], batch=8)
    values = mixed.batch(0).image[:, 0, 0, 0]
    assert int((values < 0.2).sum()) == 6
    assert int((values >= 0.2).sum()) == 2


@pytest.mark.parametrize(("batch", "share"), [(1, 0.5), (1, 0.1), (3, 0.5), (8, 0.3), (2, 0.9)])
@pytest.mark.parametrize("seed", [0, 1, 5])
def test_shares_that_do_not_divide_the_batch_hold_over_the_steps(cases, batch, share, seed):
    mixed = sampler([CasePool(cases[:1], share), CasePool(cases[1:], 1 - share)], batch=batch, seed=seed)
    drawn = [mixed.batch(step).image[:, 0, 0, 0] for step in range(100)]
    first = np.array([int((values < 0.2).sum()) for values in drawn])
    assert all(len(values) == batch for values in drawn)
    assert abs(first.sum() - 100 * batch * share) <= 2
    assert set(first) <= {int(np.floor(batch * share)), int(np.ceil(batch * share))}
    assert np.abs(np.cumsum(first) - batch * share * np.arange(1, 101)).max() < 2  # at any time
    again = sampler([CasePool(cases[:1], share), CasePool(cases[1:], 1 - share)], batch=batch, seed=seed)
    assert equal(again.batch(37), mixed.batch(37))


@pytest.mark.parametrize("batch", [2, 4, 10])
def test_shares_that_divide_the_batch_do_so_in_every_step(cases, batch):
    mixed = sampler([CasePool(cases[:1], 0.5), CasePool(cases[1:], 0.5)], batch=batch)
    assert {int((mixed.batch(step).image[:, 0, 0, 0] < 0.2).sum()) for step in range(30)} == {batch // 2}


def test_three_sources_share_a_sample_at_a_time(cases):
    thirds = sampler([CasePool(cases[:1]), CasePool(cases[1:]), CasePool(cases[:1])], batch=1)
    counts = np.array([thirds._counts(step) for step in range(300)])
    assert (counts >= 0).all()
    assert (counts.sum(axis=1) == 1).all()
    assert np.abs(counts.sum(axis=0) - 100).max() <= 2


def test_unpaired_labels_come_from_elsewhere(cases):
    batch = sampler([CasePool(cases)], batch=64, paired=False).batch(0)
    assert not torch.equal(batch.mask[:, 0] > 0, batch.labels == LESION)


def test_patches_hold_the_lesion_and_padding_is_background(cases):
    batch = sampler([CasePool(cases, lesion_share=1.0)], dims=3, size=(8, 6, 6), batch=4).batch(0)
    assert batch.image.shape == (4, 1, 8, 6, 6)
    assert batch.mask.flatten(1).any(1).all()
    assert (batch.image[:, :, 0] == -1).all()  # six or four slices stand in eight
    assert (batch.labels[:, 0] == 0).all()


@pytest.mark.parametrize(("size", "total"), [((4, 4), 16), ((15, 10), 120), ((8, 13), 80)])
def test_cutting_and_padding_keep_the_middle(size, total):
    image, labels = cut(np.zeros((1, 12, 10), np.float32), np.ones((12, 10), np.uint8), (), size)
    assert image.shape == (1, *size)
    assert labels.shape == size
    assert labels.sum() == total
    assert (image[0][labels == 0] == -1).all()


def blob(shape):
    labels = torch.zeros(2, *shape, dtype=torch.int64)
    labels[(slice(None), *(slice(n // 4, n // 2 + 3) for n in shape))] = 3
    return labels, (labels > 0).float()[:, None] * 1.5 - 1.0


@pytest.mark.parametrize("shape", [(24, 40), (12, 16, 20)])
def test_labels_and_image_move_together_and_background_stays(shape, augment):
    labels, image = blob(shape)
    moved, kept = augment(image, labels, FULL, torch.Generator().manual_seed(3))
    assert moved.shape == image.shape
    assert kept.dtype == torch.int64
    assert not torch.equal(kept, labels)
    inside = moved[:, 0] > -0.5
    overlap = 2 * float((inside & (kept > 0)).sum()) / float(inside.sum() + (kept > 0).sum())
    assert overlap > 0.9
    pool = torch.nn.functional.max_pool2d if len(shape) == 2 else torch.nn.functional.max_pool3d
    far = pool((kept > 0).float()[:, None], 5, 1, 2) == 0
    assert far.any()
    assert (moved[far] == -1).all()
    assert moved.min() >= -1
    assert moved.max() <= 1


def test_no_augmentation_is_no_change(augment):
    still = {name: 0.0 for name in Augmentation.model_fields if name != "flip"}
    labels, image = blob((16, 20))
    moved, kept = augment(image, labels, Augmentation(flip=False, **still), torch.Generator().manual_seed(0))
    torch.testing.assert_close(moved, image, atol=1e-5, rtol=0)
    assert torch.equal(kept, labels)


def test_flips_are_left_and_right_only(augment):
    still = {name: 0.0 for name in Augmentation.model_fields if name != "flip"}
    labels, image = blob((16, 20))
    results = [augment(image, labels, Augmentation(**still), torch.Generator().manual_seed(s))[1] for s in range(20)]
    seen = {"same" if torch.equal(r[0], labels[0]) else "flipped" for r in results}
    assert seen == {"same", "flipped"}
    for r in results:
        assert torch.equal(r[0], labels[0]) or torch.equal(r[0], labels[0].flip(-1))


@pytest.fixture
def noisy(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.ones((6, 20, 24), np.uint8)
    labels[2:4, 5:9, 5:9] = 3
    case = write_prepared(tmp_path / "a", "a", rng.uniform(-1, 1, (1, *labels.shape)), labels, 3)
    pytest.importorskip("torchio", reason="TorchIO is not installed")
    how = FULL.model_copy(update=dict.fromkeys(KINDS, 0.5))
    return Sampler([CasePool([case])], Problem(dims=2, labels=4, size=(16, 16)), 5, 1, how)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_number_of_workers_changes_no_batch(noisy, workers):
    with Prefetcher(noisy, workers) as ahead:
        for step in (0, 1, 2, 3, 10, 11, 4):  # a run, a jump forward and one back
            drawn = ahead.batch(step, progress=step / 20)
            assert equal(drawn, noisy.batch(step))
            assert drawn.progress == step / 20


class Counted:
    """A sampler of numbers that says which steps were drafted; step 8 fails."""

    def __init__(self):
        self.drafted = {step: threading.Event() for step in range(10)}

    def draft(self, step, device):
        if step == 8:
            raise ValueError("no such slice")
        self.drafted[step].set()
        return step

    def finish(self, draft, device, progress):
        return Batch(torch.full((1,), draft), torch.zeros(1), torch.zeros(1))


def test_the_next_batches_are_drawn_before_they_are_asked_for():
    counted = Counted()
    with Prefetcher(counted, 2) as ahead:
        assert int(ahead.batch(0).labels) == 0
        assert counted.drafted[2].wait(10)
    assert not counted.drafted[3].is_set()


def test_a_fault_in_a_thread_is_raised_where_the_batch_is_asked_for():
    with Prefetcher(Counted(), 1) as ahead:
        ahead.batch(7)
        with pytest.raises(ValueError, match="no such slice"):
            ahead.batch(8)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("artefacts", [{}, {"bias_field": 0.5}])
def test_processes_draw_their_parts_of_one_batch(cases, dims, paired, artefacts):
    how = FULL.model_copy(update=artefacts)
    size = (12, 10) if dims == 2 else (4, 8, 8)
    whole, *parts = (
        sampler([CasePool(cases)], dims, size, 6, augmentation=how, paired=paired, part=part).batch(3)
        for part in (slice(None), slice(0, None, 2), slice(1, None, 2))
    )
    for rank, part in enumerate(parts):
        for name in ("labels", "image", "mask"):
            assert torch.equal(getattr(part, name), getattr(whole, name)[rank::2]), name


def test_a_process_cuts_its_own_samples_only(cases, monkeypatch):
    cuts = []
    monkeypatch.setattr(train_sampler, "cut", lambda *place: cuts.append(1) or cut(*place))
    sampler([CasePool(cases)], batch=8, augmentation=FULL, part=slice(1, None, 4)).batch(0)
    assert len(cuts) == 2


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("dims", [2, 3])
def test_on_a_gpu_the_batch_is_augmented_there_and_nothing_waits(cases, dims, paired, monkeypatch):
    """On a pretended GPU: labels travel as bytes, the mask is made there, and no value is read back."""
    draws = sampler([CasePool(cases)], dims, (12, 10) if dims == 2 else (4, 8, 8), 4, augmentation=FULL, paired=paired)
    monkeypatch.setattr(train_sampler, "_pinned", lambda value, device: value)
    monkeypatch.setattr(augmentation, "device_generator", lambda device, seed: None)
    draft = draws.draft(0, "cuda")
    assert draft.labels.dtype == torch.uint8
    assert draft.changes is not None
    with FakeTensorMode(allow_non_fake_inputs=True), HostReads() as host:
        batch = draws.finish(draft, "cuda")
    assert host.reads == []
    assert {str(value.device) for value in (batch.labels, batch.image, batch.mask)} == {"cuda:0"}
    assert (batch.labels.dtype, batch.mask.dtype) == (torch.int64, torch.float32)
    on_cpu = draws.batch(0)
    assert (batch.labels.shape, batch.image.shape, batch.mask.shape) == (
        on_cpu.labels.shape,
        on_cpu.image.shape,
        on_cpu.mask.shape,
    )


class HostReads(TorchDispatchMode):
    """Records operations that read a value of the device, or copy to it while the host waits."""

    def __init__(self):
        super().__init__()
        self.reads = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if "_local_scalar_dense" in str(func) or "nonzero" in str(func):
            self.reads.append(str(func))
        if "_to_copy" in str(func) and kwargs.get("device") is not None and not kwargs.get("non_blocking"):
            self.reads.append(str(func))
        return func(*args, **kwargs)
