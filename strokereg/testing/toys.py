"""Toy cases for the checks: round heads with a lesion, small enough to run any architecture in milliseconds."""

from __future__ import annotations

import numpy as np
import torch

from strokereg.core.roles import Batch, Sample

LABELS = ("background", "fluid", "grey matter", "white matter", "lesion")
LESION = len(LABELS) - 1
_SHADES = (-1.0, -0.7, -0.4, -0.5, 0.6)


def brains(dims: int = 2, count: int = 2, seed: int = 0, edge: int = 16) -> Batch:
    """A batch of `count` heads with the labels `LABELS` and matching images, on a grid of `edge` voxels a side."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, edge)] * dims, indexing="ij")
    radius = torch.stack([axis**2 for axis in axes]).sum(0).sqrt()
    labels = torch.zeros(count, *radius.shape, dtype=torch.int64)
    for row in labels:
        row[radius < 0.9], row[radius < 0.7], row[radius < 0.3] = 1, 2, 3
        centre = torch.rand(dims, generator=generator) * 0.6 - 0.3
        off = torch.stack([(axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)]).sum(0).sqrt()
        row[off < 0.35] = 4
    noise = 0.02 * torch.randn(labels.shape, generator=generator) * (labels > 0)
    image = (torch.tensor(_SHADES)[labels] + noise)[:, None].clamp(-1, 1)
    return Batch(labels, image, (labels == 4).float()[:, None])


def head(
    shape: tuple[int, int, int] = (16, 24, 20),
    lesion: tuple[tuple[float, float, float], float] | None = ((8, 12, 14), 3.0),
    seed: int = 0,
    channels: int = 1,
) -> Sample:
    """A round brain (label 2) with fluid (1) in the middle, noise, and a lesion (4) of 1.6 times the brain's signal.

    Args:
        lesion: centre and radius of the lesion in voxels; None for no lesion.
    """
    rng = np.random.default_rng(seed)
    middle = tuple(n / 2 for n in shape)
    labels = np.where(ball(shape, middle, 0.46 * min(shape)), 2, 0).astype(np.uint8)
    labels[ball(shape, middle, 2)] = 1
    if lesion is not None:
        labels[ball(shape, *lesion) & (labels == 2)] = 4
    signal = np.array([0.0, 0.15, 0.5, 0.5, 0.8])[labels] * (1 + 0.02 * rng.standard_normal((channels, *shape)))
    return Sample((signal - 1).clip(-1, 1).astype(np.float32), labels, (2, 3))


def ball(shape: tuple[int, ...], centre: tuple[float, ...], radius: float) -> np.ndarray:
    """bool [*shape], True within `radius` voxels of `centre`."""
    offsets = [(axis - c) ** 2 for axis, c in zip(np.indices(shape), centre, strict=True)]
    return np.sum(offsets, axis=0) <= radius**2
