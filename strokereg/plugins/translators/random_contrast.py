"""`random-contrast`: gives every label a random intensity. Untrained; it uses no image.

B. Billot et al.: SynthSeg (Medical Image Analysis 2023, arXiv 2107.09559): a Gaussian of random mean and spread for
each label, a smooth multiplicative field, a random gamma, blur. L. Chalcroft et al. (SynthStroke, arXiv 2404.01946)
give a stroke lesion its own Gaussian in the same way. Ranges are those of SynthSeg's code: mean U(0, 255) and
spread U(0, 35) of 255, logarithm of the field up to 0.5 on 4 nodes an edge, log gamma N(0, 0.4).
Departures: no spatial augmentation, which the study's trainer does. Background stays empty, as in a skull-stripped
scan. The mean of the brain is normalised (to the value that prepared scans have as their median), not the range. The
blur models a point spread, not a random slice thickness.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from strokereg.core.roles import Batch, Move, Player
from strokereg.plugins.blocks.noise_field import white
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem

_NODES = 4  # of the smooth field, along each edge
_TAPS = 3  # the blur reaches this many voxels
_BRAIN = 0.5  # mean signal of the brain, on a scale from 0 to 2, which is four medians (core.scan.grid)


class RandomContrast(nn.Module):
    """Labels int64 [N, *S] and noise z [N, Z] → image [N, C, *S] in [-1, 1], -1 outside the brain."""

    class Options(Options):
        """Args:
        spread: largest standard deviation within a label; means are in 0 … 1.
        blur: largest standard deviation of the blur, voxels; the smallest is half of it, to model partial volume.
        bias: largest standard deviation of the logarithm of the smooth field.
        gamma: standard deviation of the logarithm of gamma.
        lesion_bright: make the lesion brighter than every tissue, as in acute DWI; in the papers it is random.
        """

        spread: float = Field(default=35 / 255, ge=0)
        blur: float = Field(default=0.8, ge=0, le=1.5)
        bias: float = Field(default=0.5, ge=0)
        gamma: float = Field(default=0.4, ge=0)
        lesion_bright: bool = False

    def __init__(self, problem: Problem, options: Options):
        super().__init__()
        self.options, self.problem = options, problem
        labels, nodes = problem.labels, _NODES**problem.dims
        self.parts = [labels, labels, nodes, 1, 1, 1]  # how many components of z a channel uses for what
        self.noise = problem.channels * sum(self.parts)
        # A buffer, which also gives a network without weights a device.
        self.register_buffer("taps", torch.arange(-_TAPS, _TAPS + 1), persistent=False)

    def forward(self, labels: Tensor, z: Tensor) -> Tensor:
        o, shape = self.options, labels.shape[1:]
        ones = (1,) * len(shape)
        drawn = z.reshape(-1, self.problem.channels, sum(self.parts))
        means, spreads, field, strength, width, gamma = drawn.split(self.parts, dim=2)
        means, spreads = _uniform(means), o.spread * _uniform(spreads)
        if o.lesion_bright:
            brightest = means[..., 1:-1].amax(2, keepdim=True)
            means = torch.cat([means[..., :-1], brightest + (1.0 - brightest) * means[..., -1:]], 2)
        brain = (labels > 0)[:, None].float()
        texture = white(z, shape, self.problem.channels)
        image = (_value_of(means, labels) + _value_of(spreads, labels) * texture).clamp(min=0.0) * brain
        nodes = field.reshape(-1, self.problem.channels, *(_NODES,) * len(shape))
        mode = "bilinear" if len(shape) == 2 else "trilinear"
        smooth = F.interpolate(nodes, size=shape, mode=mode, align_corners=True)
        image = image * (o.bias * _uniform(strength).reshape(*strength.shape[:2], *ones) * smooth).exp()
        image = image.clamp(min=1e-6) ** (o.gamma * gamma).exp().reshape(*gamma.shape[:2], *ones)
        image = _blur(image * brain, self.taps, 0.5 * o.blur * (1.0 + _uniform(width)))
        axes = tuple(range(2, image.ndim))
        mean = (image * brain).sum(axes, keepdim=True) / brain.sum(axes, keepdim=True).clamp(min=1.0)
        return (image * brain * (_BRAIN / mean.clamp(min=1e-6)) - 1.0).clamp(-1.0, 1.0)

    def players(self) -> dict[str, Player]:
        return {}

    def moves(self, batch: Batch) -> Iterator[Move]:
        yield from ()


def _uniform(normal: Tensor) -> Tensor:
    """N(0, 1) → U(0, 1)."""
    return 0.5 * (1.0 + torch.erf(normal / math.sqrt(2.0)))


def _value_of(values: Tensor, labels: Tensor) -> Tensor:
    """A value for each label [N, C, L] → the value at each voxel [N, C, *S]."""
    flat = labels.flatten(1)[:, None].expand(-1, values.shape[1], -1)
    return values.gather(2, flat).reshape(-1, values.shape[1], *labels.shape[1:])


def _blur(image: Tensor, taps: Tensor, width: Tensor) -> Tensor:
    """Gaussian blur of an image [N, C, *S] with a standard deviation in voxels, [N, C, 1]."""
    weights = (-0.5 * (taps / width.clamp(min=0.05)) ** 2).exp()
    weights = (weights / weights.sum(2, keepdim=True)).reshape(*weights.shape, *(1,) * (image.ndim - 2))
    for axis in range(2, image.ndim):
        around = [0, 0] * (image.ndim - 1 - axis) + [_TAPS, _TAPS]
        padded, size = F.pad(image, around), image.shape[axis]
        shifted = [padded.narrow(axis, tap, size) * weights[:, :, tap] for tap in range(2 * _TAPS + 1)]
        image = torch.stack(shifted).sum(0)
    return image
