"""Describe lesion masks by size, shape and location."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from strokereg.core.scan.postprocess import lesions

_BLOCK_MM = 32.0  # edge of a cell of the location histogram


class Shape(NamedTuple):
    """Size and shape of one mask; in 2D, volume is the area and surface is the outline.

    Attributes:
        volume: ml, in 2D mm².
        components: number of connected components (26 neighbours, in 2D 8).
        surface_to_volume: mm²/mm³, in 2D mm/mm².
        sphericity: surface of a ball (2D: disc) of the same volume over the surface of the mask; 1 is round.
    """

    volume: float
    components: float
    surface_to_volume: float
    sphericity: float


def describe(mask: np.ndarray, spacing: Sequence[float]) -> Shape:
    """Describe one mask.

    The surface is the sum of the open faces of the voxels, so the sphericity of a ball is about 0.67 (disc: 0.79)
    instead of 1. Masks on the same grid can be compared with each other, but not with masks on other grids.

    Args:
        mask: bool [*S] with at least one voxel.
        spacing: voxel edges in mm, as many as the mask has axes.
    """
    voxel = float(np.prod(spacing))
    volume = np.count_nonzero(mask) * voxel
    closed = np.pad(mask, 1)
    surface = sum(np.count_nonzero(np.diff(closed, axis=axis)) * voxel / edge for axis, edge in enumerate(spacing))
    flat = mask.ndim == 2
    ball = 2.0 * math.sqrt(math.pi * volume) if flat else math.pi ** (1 / 3) * (6.0 * volume) ** (2 / 3)
    pieces = lesions(mask[None] if flat else mask)[1]
    return Shape(volume if flat else volume / 1000.0, float(pieces), surface / volume, ball / surface)


def location(masks: np.ndarray, spacing: float) -> np.ndarray:
    """Histogram of lesion locations over cells of 32 mm. It sums to one, and every mask has the same weight.

    Args:
        masks: bool [N, *S], none of them empty.
        spacing: voxel edge in mm.
    """
    weight = masks.reshape(len(masks), -1).sum(axis=1, dtype=np.float64)
    heat = np.tensordot(1.0 / weight, masks, axes=1) / len(masks)
    step = max(1, round(_BLOCK_MM / spacing))
    for axis in range(heat.ndim):
        heat = np.add.reduceat(heat, np.arange(0, heat.shape[axis], step), axis=axis)
    return heat
