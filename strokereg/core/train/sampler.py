"""Training batches: slices or patches of prepared cases, drawn anew for every step and prefetched in threads.

Cases are cut on the CPU, in threads. On a GPU, the batch is augmented there: images and uint8 labels are copied from
pinned memory while the GPU computes, and masks are made on it. On a CPU, the threads augment too.

A batch is a pure function of (seed, step) and the kind of device. A resumed run therefore needs no sampler state, and a
batch does not depend on the number of steps, threads or processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from strokereg.core.roles import Batch
from strokereg.core.train.artefacts import any_artefacts
from strokereg.core.train.augmentation import (
    Augmentation,
    Changes,
    apply_changes,
    augmentation_of,
    draw_changes,
    move_labels,
)
from strokereg.core.train.distributed import join_process_group
from strokereg.core.train.prepared import PreparedCase
from strokereg.core.train.trainer import TrainerSettings
from strokereg.registry.problem import Problem
from strokereg.registry.specs import ArchitectureSpec, Role, TranslatorSpec

_GOLDEN = (5.0**0.5 - 1.0) / 2.0
_Place = tuple[np.ndarray, np.ndarray, tuple[int, ...]]  # arguments of `cut`: image, labels, centre
_PHASE = 2.0**0.5 - 1.0  # another irrational number: seeds start at different places

#: Share of the samples that must show a lesion.
LESION_SHARE = {Role.GENERATOR: 1.0, Role.TRANSLATOR: 0.5, Role.SEGMENTER: 0.5}


@dataclass(frozen=True)
class CasePool:
    """Cases that fill a share of every batch, and the share of their samples that must show a lesion."""

    cases: Sequence[PreparedCase]
    share: float = 1.0
    lesion_share: float = 0.5


@dataclass(frozen=True)
class Draft:
    """What is prepared of a batch on the CPU.

    Attributes:
        image: float32 [N, C, *S].
        labels: uint8 [N, *S].
        changes: how they are still to be augmented, on the device; None if they are augmented.
        other: labels of other cases, for an unpaired translator, and how they are still to be moved.
    """

    image: Tensor
    labels: Tensor
    changes: Changes | None
    other: tuple[Tensor, Changes | None] | None = None


class CaseStream(Protocol):
    """Cases without end, of which every step sees a few: a pure function of the step, called from several threads."""

    facts: dict[str, Any]  # what decides the cases, for the record of the run

    def at(self, step: int) -> Sequence[IndexedCase]:
        """The cases of a step."""


class Sampler:
    """Draws batches from one or several pools; every case of a pool is equally likely, whatever its size.

    Args:
        pools: their shares are normalised to sum to one.
        problem: 2D draws axial slices, 3D patches; both are cut or padded to `problem.size`.
        batch_size: samples a step.
        seed: seed of all random numbers.
        augmentation: None leaves the samples unchanged.
        paired: False draws the labels of a batch independently of its images (CycleGAN).
        part: the samples of each batch that are drawn, for one of several processes.
        stream: cases that take the place of those of the only pool.
    """

    def __init__(
        self,
        pools: Sequence[CasePool],
        problem: Problem,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        paired: bool = True,
        part: slice = slice(None),
        stream: CaseStream | None = None,
    ):
        self.problem, self.seed, self.augmentation = problem, seed, augmentation
        self.paired, self.part = paired, part
        total = sum(pool.share for pool in pools)
        # Rounded, so that shares which divide the batch evenly do so in floating point too.
        self._edges = np.round(np.cumsum([pool.share / total for pool in pools]) * batch_size, 6)
        self._pools = [] if stream else [IndexedPool.of(pool, problem.dims) for pool in pools]
        self._stream, self._lesion_share = stream, pools[0].lesion_share

    def batch(self, step: int, device: str | torch.device = "cpu", progress: float = 0.0) -> Batch:
        """The batch of a step, on the device."""
        return self.finish(self.draft(step, device), device, progress)

    def draft(self, step: int, device: str | torch.device = "cpu") -> Draft:
        """The part of `batch` that is done on the CPU, for a batch on this device."""
        device, how = torch.device(device), self.augmentation
        picked, changes = self._pick(step, 0)
        # Artefacts are computed on the CPU, for whole batches.
        whole = how is not None and any_artefacts(how)
        image, labels = self._cut(picked if whole else picked[self.part])
        if changes is not None and how is not None:
            changes = changes if whole else changes.only(self.part)
            if whole or device.type == "cpu":
                image, labels = apply_changes(image, labels, how, changes)
                changes = None
            if whole:
                image, labels = image[self.part], labels[self.part]
        other = None if self.paired else self._other_labels(step, device)
        return Draft(_pinned(image, device), _pinned(labels, device), changes, other)

    def finish(self, draft: Draft, device: str | torch.device = "cpu", progress: float = 0.0) -> Batch:
        """The part of `batch` that is done on the device. It does not wait for the device."""
        device = torch.device(device)
        image, labels = (value.to(device, non_blocking=True) for value in (draft.image, draft.labels))
        if draft.changes is not None and self.augmentation is not None:
            image, labels = apply_changes(image, labels, self.augmentation, draft.changes.on(device))
        mask = (labels == self.problem.lesion).float()[:, None]
        if draft.other is not None:
            other, changes = draft.other
            labels = other.to(device, non_blocking=True)
            labels = labels if changes is None else move_labels(labels, changes.on(device))
        return Batch(labels=labels.long(), image=image, mask=mask, progress=progress)

    def _other_labels(self, step: int, device: torch.device) -> tuple[Tensor, Changes | None]:
        picked, changes = self._pick(step, 1)
        _, labels = self._cut(picked[self.part])
        changes = changes.only(self.part) if changes is not None else None
        if changes is not None and device.type == "cpu":
            return move_labels(labels, changes), None
        return _pinned(labels, device), changes

    def _pick(self, step: int, stream: int) -> tuple[list[_Place], Changes | None]:
        """Choose the samples of a whole batch and their augmentation, without reading any voxel."""
        rng = np.random.default_rng([self.seed, step, stream])
        counts = self._counts(step)
        pools = self._pools
        if self._stream is not None:
            pools = [IndexedPool(self._stream.at(step), self._lesion_share)]
        picked = [pool.pick(rng) for pool, count in zip(pools, counts, strict=True) for _ in range(count)]
        if self.augmentation is None:
            return picked, None
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return picked, draw_changes(self.augmentation, (len(picked), *self.problem.size), generator)

    def _cut(self, picked: Sequence[_Place]) -> tuple[Tensor, Tensor]:
        samples = [cut(*place, self.problem.size) for place in picked]
        return tuple(torch.from_numpy(np.stack(arrays)) for arrays in zip(*samples, strict=True))  # type: ignore[return-value]

    def _counts(self, step: int) -> np.ndarray:
        """Samples of each pool in this step. Where the shares do not divide the batch, they hold on average.

        Fractions are rounded up or down by a golden-section sequence, which is even over any run of steps.
        """
        return np.diff(np.floor(self._edges + (_PHASE * self.seed + _GOLDEN * step) % 1.0), prepend=0).astype(int)


class SampledCase(Protocol):
    """A case on the network grid, on disk or in memory; see `PreparedCase`."""

    @property
    def image(self) -> np.ndarray: ...  # float32 [C, Z, Y, X]

    @property
    def labels(self) -> np.ndarray: ...  # uint8 [Z, Y, X]

    @property
    def mask(self) -> np.ndarray: ...  # bool [Z, Y, X]


@dataclass(frozen=True)
class IndexedCase:
    """A case with the places that samples are cut around: slices (2D) or voxels (3D).

    Attributes:
        brain, lesion: places that show brain, and those that show lesion.
    """

    case: SampledCase
    dims: int
    brain: np.ndarray
    lesion: np.ndarray

    @classmethod
    def of(cls, case: SampledCase, dims: int) -> IndexedCase:
        """Find the places of a case."""
        if dims == 2:
            return cls(
                case,
                dims,
                np.flatnonzero(np.asarray(case.labels).any(axis=(1, 2))),
                np.flatnonzero(case.mask.any(axis=(1, 2))),
            )
        return cls(case, dims, np.flatnonzero(np.asarray(case.labels)), np.flatnonzero(case.mask))


@dataclass(frozen=True)
class IndexedPool:
    """Cases that samples are drawn from, and the share of the samples that must show a lesion."""

    cases: Sequence[IndexedCase]
    lesion_share: float

    @classmethod
    def of(cls, pool: CasePool, dims: int) -> IndexedPool:
        """Find the places of all cases."""
        return cls([IndexedCase.of(case, dims) for case in pool.cases], pool.lesion_share)

    def pick(self, rng: np.random.Generator) -> _Place:
        """Draw an image [C, *S], its labels [*S] and the centre to cut around (empty for a slice)."""
        found = self.cases[int(rng.integers(len(self.cases)))]
        wants_lesion = rng.random() < self.lesion_share
        case = found.case
        places = found.lesion if wants_lesion and len(found.lesion) else found.brain
        place = int(places[rng.integers(len(places))]) if len(places) else 0
        if found.dims == 2:
            return case.image[:, place], case.labels[place], ()
        return case.image, case.labels, tuple(int(i) for i in np.unravel_index(place, case.labels.shape))


def cut(
    image: np.ndarray, labels: np.ndarray, centre: tuple[int, ...], size: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Cut or pad to `size` around `centre`, or around the middle where it is empty. Padding is background."""
    take, pad = [], []
    for axis, (want, have) in enumerate(zip(size, labels.shape, strict=True)):
        middle = centre[axis] if centre else have // 2
        start = 0 if have <= want else int(np.clip(middle - want // 2, 0, have - want))
        take.append(slice(start, start + min(want, have)))
        before = max(0, want - have) // 2
        pad.append((before, max(0, want - have) - before))
    cut_image, cut_labels = np.asarray(image[(slice(None), *take)]), np.asarray(labels[tuple(take)])
    if any(b or a for b, a in pad):
        cut_image = np.pad(cut_image, [(0, 0), *pad], constant_values=-1.0)
        cut_labels = np.pad(cut_labels, pad)
    return cut_image, cut_labels


def sampler_of(
    spec: ArchitectureSpec,
    problem: Problem,
    settings: TrainerSettings,
    clinical: Sequence[PreparedCase],
    synthetic: Sequence[PreparedCase] = (),
    synthetic_share: float = 0.5,
    stream: CaseStream | None = None,
) -> Sampler:
    """The sampler for one training; every architecture of a role gets the same lesion share and augmentation.

    Args:
        clinical, synthetic: training cases; where one of them is empty, the other fills the batches.
        synthetic_share: share of each batch, where both are given.
        stream: takes the place of the clinical cases.
    """
    lesion_share = LESION_SHARE[spec.role]
    pools = []
    if clinical:
        pools.append(CasePool(clinical, 1.0 - synthetic_share if synthetic else 1.0, lesion_share))
    if synthetic:
        pools.append(CasePool(synthetic, synthetic_share if clinical else 1.0, lesion_share))
    paired = spec.paired if isinstance(spec, TranslatorSpec) else True
    augmentation = augmentation_of(spec.role, settings.augment)
    part = join_process_group(settings.device).part(settings.batch_size)
    return Sampler(pools, problem, settings.batch_size, settings.seed, augmentation, paired, part, stream)


class Prefetcher:
    """Draws the next batches of a sampler in threads while the network works on the current one.

    Threads rather than processes: drawing is NumPy and torch, which release the interpreter lock, and nothing has to be
    copied between processes.

    Args:
        sampler: draws and finishes the batches.
        workers: number of threads; 0 draws each batch when it is asked for.
    """

    def __init__(self, sampler: Sampler, workers: int = 1):
        self.sampler, self.workers = sampler, workers
        self._pool = ThreadPoolExecutor(workers, "batches") if workers else None
        self._coming: dict[int, Future[Draft]] = {}

    def batch(self, step: int, device: str | torch.device = "cpu", progress: float = 0.0) -> Batch:
        """The batch of a step, on the device."""
        if self._pool is None:
            return self.sampler.batch(step, device, progress)
        wanted = range(step, step + self.workers + 1)
        # After a jump, as on resuming, batches of other steps are dropped.
        self._coming = {s: self._coming.get(s) or self._pool.submit(self.sampler.draft, s, device) for s in wanted}
        return self.sampler.finish(self._coming[step].result(), device, progress)

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the threads; batches that are being drawn are finished first."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._coming.clear()


def _pinned(value: Tensor, device: torch.device) -> Tensor:
    """The same in pinned memory if it goes to a CUDA GPU, so that the copy can run beside the computation."""
    return value.pin_memory() if device.type == "cuda" else value
