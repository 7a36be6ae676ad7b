"""Training batches: slices or patches of prepared cases, drawn anew for every step.

A batch is a pure function of (seed, step). So a resumed run needs no record of where it stood, and what one
step sees does not depend on how many steps, workers or processes came before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from strokereg.core.roles import Batch
from strokereg.core.train.augmentation import Augmentation, augment
from strokereg.core.train.prepared import PreparedCase
from strokereg.registry.problem import Problem

_GOLDEN = (5.0**0.5 - 1.0) / 2.0
_PHASE = 2.0**0.5 - 1.0  # another irrational number: seeds start at different places


@dataclass(frozen=True)
class CasePool:
    """Cases that fill a share of every batch, and the share of their draws that must show a lesion."""

    cases: Sequence[PreparedCase]
    share: float = 1.0
    lesion_share: float = 0.5


class Sampler:
    """Draws batches from one or several sources, cases with equal chance whatever their size.

    Args:
        sources: shares are made to sum to one.
        problem: dims 2 draws axial slices, dims 3 patches; both cut or padded to `problem.size`.
        batch_size: samples a step.
        seed: of everything random here.
        augmentation: None leaves the samples as they are.
        paired: False draws labels and images of a batch independently of each other (CycleGAN).
    """

    def __init__(
        self,
        sources: Sequence[CasePool],
        problem: Problem,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        paired: bool = True,
    ):
        self.problem, self.seed, self.augmentation, self.paired = problem, seed, augmentation, paired
        total = sum(source.share for source in sources)
        # Rounded, so that what divides evenly does so in floating point too.
        self._edges = np.round(np.cumsum([source.share / total for source in sources]) * batch_size, 6)
        self._pools = [_IndexedPool(source, problem.dims) for source in sources]

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
        """Samples of each source in this step. Where shares do not divide the batch, they hold over the steps.

        The fractions are rounded up or down by a golden-section sequence, which is even over any run of steps.
        """
        return np.diff(np.floor(self._edges + (_PHASE * self.seed + _GOLDEN * step) % 1.0), prepend=0).astype(int)


class _IndexedPool:
    """Knows, for every case of a source, which slices (2D) or voxels (3D) show brain and which lesion."""

    def __init__(self, source: CasePool, dims: int):
        self.cases, self.lesion_share, self.dims = source.cases, source.lesion_share, dims
        if dims == 2:
            self.brain = [np.flatnonzero(np.asarray(c.labels).any(axis=(1, 2))) for c in self.cases]
            self.lesion = [np.flatnonzero(c.mask.any(axis=(1, 2))) for c in self.cases]
        else:
            self.brain = [np.flatnonzero(np.asarray(c.labels)) for c in self.cases]
            self.lesion = [np.flatnonzero(c.mask) for c in self.cases]

    def pick(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
        """Image [C, *S], labels [*S] and the centre to cut around (empty for a slice)."""
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
    """Cut or pad to `size` around the centre; a slice keeps its own centre. Padding is background."""
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
