"""Training batches: slices or patches of prepared cases, drawn anew for every step and prefetched in threads.

A batch is a pure function of (seed, step). A resumed run therefore needs no sampler state, and a batch does not depend
on the number of steps, threads or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch

from strokereg.core.roles import Batch
from strokereg.core.train.augmentation import Augmentation, augment, augmentation_of
from strokereg.core.train.prepared import PreparedCase
from strokereg.core.train.trainer import TrainerSettings
from strokereg.registry.problem import Problem
from strokereg.registry.specs import ArchitectureSpec, Role, TranslatorSpec

_GOLDEN = (5.0**0.5 - 1.0) / 2.0
_PHASE = 2.0**0.5 - 1.0  # another irrational number: seeds start at different places

#: Share of the samples that must show a lesion.
LESION_SHARE = {Role.GENERATOR: 1.0, Role.TRANSLATOR: 0.5, Role.SEGMENTER: 0.5}


@dataclass(frozen=True)
class CasePool:
    """Cases that fill a share of every batch, and the share of their samples that must show a lesion."""

    cases: Sequence[PreparedCase]
    share: float = 1.0
    lesion_share: float = 0.5


class Sampler:
    """Draws batches from one or several pools; every case of a pool is equally likely, whatever its size.

    Args:
        pools: their shares are normalised to sum to one.
        problem: 2D draws axial slices, 3D patches; both are cut or padded to `problem.size`.
        batch_size: samples a step.
        seed: seed of all random numbers.
        augmentation: None leaves the samples unchanged.
        paired: False draws the labels of a batch independently of its images (CycleGAN).
    """

    def __init__(
        self,
        pools: Sequence[CasePool],
        problem: Problem,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        paired: bool = True,
    ):
        self.problem, self.seed, self.augmentation, self.paired = problem, seed, augmentation, paired
        total = sum(pool.share for pool in pools)
        # Rounded, so that shares which divide the batch evenly do so in floating point too.
        self._edges = np.round(np.cumsum([pool.share / total for pool in pools]) * batch_size, 6)
        self._pools = [_IndexedPool(pool, problem.dims) for pool in pools]

    def batch(self, step: int, device: str | torch.device = "cpu", progress: float = 0.0) -> Batch:
        """The batch of a step, on the device."""
        image, own_labels = self._draw(step, 0)
        labels = own_labels if self.paired else self._draw(step, 1)[1]
        return Batch(
            labels=labels.to(device),
            image=image.to(device),
            mask=(own_labels == self.problem.lesion).float()[:, None].to(device),
            progress=progress,
        )

    def _draw(self, step: int, stream: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng([self.seed, step, stream])
        samples = [
            cut(*pool.pick(rng), self.problem.size)
            for pool, count in zip(self._pools, self._counts(step), strict=True)
            for _ in range(count)
        ]
        image = torch.from_numpy(np.stack([image for image, _ in samples]))
        labels = torch.from_numpy(np.stack([labels for _, labels in samples]).astype(np.int64))
        if self.augmentation is None:
            return image, labels
        return augment(image, labels, self.augmentation, torch.Generator().manual_seed(int(rng.integers(2**62))))

    def _counts(self, step: int) -> np.ndarray:
        """Samples of each pool in this step. Where the shares do not divide the batch, they hold on average.

        Fractions are rounded up or down by a golden-section sequence, which is even over any run of steps.
        """
        return np.diff(np.floor(self._edges + (_PHASE * self.seed + _GOLDEN * step) % 1.0), prepend=0).astype(int)


class _IndexedPool:
    """A pool with the slices (2D) or voxels (3D) of every case that show brain, and those that show lesion."""

    def __init__(self, pool: CasePool, dims: int):
        self.cases, self.lesion_share, self.dims = pool.cases, pool.lesion_share, dims
        if dims == 2:
            self.brain = [np.flatnonzero(np.asarray(c.labels).any(axis=(1, 2))) for c in self.cases]
            self.lesion = [np.flatnonzero(c.mask.any(axis=(1, 2))) for c in self.cases]
        else:
            self.brain = [np.flatnonzero(np.asarray(c.labels)) for c in self.cases]
            self.lesion = [np.flatnonzero(c.mask) for c in self.cases]

    def pick(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
        """Draw an image [C, *S], its labels [*S] and the centre to cut around (empty for a slice)."""
        index = int(rng.integers(len(self.cases)))
        wants_lesion = rng.random() < self.lesion_share
        case = self.cases[index]
        places = self.lesion[index] if wants_lesion and len(self.lesion[index]) else self.brain[index]
        place = int(places[rng.integers(len(places))]) if len(places) else 0
        if self.dims == 2:
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
) -> Sampler:
    """The sampler for one training; every architecture of a role gets the same lesion share and augmentation.

    Args:
        clinical, synthetic: training cases; where one of them is empty, the other fills the batches.
        synthetic_share: share of each batch, where both are given.
    """
    lesion_share = LESION_SHARE[spec.role]
    pools = []
    if clinical:
        pools.append(CasePool(clinical, 1.0 - synthetic_share if synthetic else 1.0, lesion_share))
    if synthetic:
        pools.append(CasePool(synthetic, synthetic_share if clinical else 1.0, lesion_share))
    paired = spec.paired if isinstance(spec, TranslatorSpec) else True
    augmentation = augmentation_of(spec.role, settings.augment)
    return Sampler(pools, problem, settings.batch_size, settings.seed, augmentation, paired)


class Prefetcher:
    """Draws the next batches in threads while the network works on the current one.

    Threads rather than processes: drawing is NumPy and torch, which release the interpreter lock, and nothing has to be
    copied between processes.

    Args:
        draw: `(step) -> Batch` on the CPU, a function of the step alone, such as `Sampler.batch`.
        workers: number of threads; 0 draws each batch when it is asked for.
    """

    def __init__(self, draw: Callable[[int], Batch], workers: int = 1):
        self.draw, self.workers = draw, workers
        self._pool = ThreadPoolExecutor(workers, "batches") if workers else None
        self._coming: dict[int, Future[Batch]] = {}

    def batch(self, step: int, device: str | torch.device = "cpu", progress: float = 0.0) -> Batch:
        """The batch of a step, on the device."""
        if self._pool is None:
            batch = self.draw(step)
        else:
            wanted = range(step, step + self.workers + 1)
            # After a jump, as on resuming, batches of other steps are dropped.
            self._coming = {s: self._coming.get(s) or self._pool.submit(self.draw, s) for s in wanted}
            batch = self._coming[step].result()
        moved = {name: getattr(batch, name).to(device) for name in ("labels", "image", "mask")}
        return replace(batch, **moved, progress=progress)

    def close(self) -> None:
        """Stop the threads; batches that are being drawn are finished first."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._coming.clear()
