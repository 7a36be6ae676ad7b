"""A bank of real lesion masks; noise selects and warps one. `mask-warp` and `mask-library` fill it.

The warp is the usual one of segmentation training (flip, affine, elastic: Simard, Steinkraus, Platt 2003). It is a pure
function of the noise, so it can be exported.
"""

from __future__ import annotations

import math
from functools import reduce

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from strokereg.registry.options import Options
from strokereg.registry.problem import Problem

_SHARPNESS = 24.0  # logits per unit of share; if steeper, rounding errors of positions would be visible
_FAINTEST = 0.125  # share that a single voxel keeps if it falls between eight


class WarpOptions(Options):
    """Args:
    bank: largest number of masks; each takes one byte a voxel in the weights.
    turn: rotation about each axis, standard deviation in degrees.
    shift: standard deviation along each axis, as a share of the edge.
    scale: standard deviation of the logarithm of the size.
    elastic: standard deviation of the displacement of nodes, as a share of the edge.
    nodes: number of nodes along each axis, borders included; the displacement is linear between them.
    """

    bank: int = Field(default=256, ge=1)
    turn: float = Field(default=10.0, ge=0)
    shift: float = Field(default=0.03, ge=0, lt=1)
    scale: float = Field(default=0.15, ge=0, lt=1)
    elastic: float = Field(default=0.03, ge=0, lt=0.2)
    nodes: int = Field(default=4, ge=2, le=8)


class MaskBank(nn.Module):
    """Noise z [N, Z] → logits [N, 1, *S] of a mask of the bank, flipped, moved and warped.

    The components of z are, in order: choice of the mask, left-right flip, size, shift, rotation, displacement of
    nodes. An empty bank gives empty masks.

    Attributes:
        noise: Z.
        masks: uint8 [bank, 1, *S].
        held: number of masks in the bank.
    """

    def __init__(self, problem: Problem, options: WarpOptions):
        super().__init__()
        self.problem, self.options = problem, options
        dims, size = problem.dims, problem.size
        self.turns = [(0, 1)] if dims == 2 else [(0, 1), (0, 2), (1, 2)]
        self.widths = [1, 1, 1, dims, len(self.turns), dims * options.nodes**dims]
        self.noise = sum(self.widths)
        self.register_buffer("masks", torch.zeros(options.bank, 1, *size, dtype=torch.uint8))
        self.register_buffer("held", torch.zeros((), dtype=torch.int64))
        # Voxel positions from the middle, x first as in grid_sample.
        axes = torch.meshgrid(*(torch.arange(n) - (n - 1) / 2.0 for n in size), indexing="ij")
        self.register_buffer("places", torch.stack(axes[::-1]).reshape(dims, -1), persistent=False)
        self.register_buffer("edges", torch.tensor(size[::-1], dtype=torch.float32)[:, None], persistent=False)
        # A rotation in the plane of two axes: identity + sin·skew + (cos - 1)·(the two axes).
        self.register_buffer("identity", torch.eye(dims), persistent=False)
        self.register_buffer("skews", torch.zeros(len(self.turns), dims, dims), persistent=False)
        for skew, (a, b) in zip(self.skews, self.turns, strict=True):
            skew[b, a], skew[a, b] = 1.0, -1.0

    @torch.no_grad()
    def keep(self, masks: Tensor) -> None:
        """Add the masks [N, 1, *S] that show a lesion, as long as there is room."""
        for part in masks.split(len(self.masks)):
            # Masks with a lesion first. How many there are stays on the device: reading it would wait for a GPU.
            shows = part.flatten(1).any(1)
            order = (~shows).to(torch.uint8).argsort(stable=True)
            slots = self.held + torch.arange(len(part), device=part.device)
            kept = shows[order] & (slots < len(self.masks))
            places = slots % len(self.masks)
            fresh = (part[order] > 0.5).to(torch.uint8)
            self.masks[places] = torch.where(kept.reshape(-1, *(1,) * (part.ndim - 1)), fresh, self.masks[places])
            self.held += kept.sum()

    def forward(self, z: Tensor) -> Tensor:
        o, dims = self.options, self.problem.dims
        which, flip, size, shift, turn, nodes = z.float().split(self.widths, 1)
        # The cumulative normal distribution makes the choice uniform.
        chance = 0.5 * (1.0 + torch.erf(which[:, 0] / math.sqrt(2.0)))
        index = torch.minimum((chance * self.held).long(), (self.held - 1).clamp(min=0))
        linear = torch.exp(o.scale * size)[:, :, None] * self._rotation(turn * math.radians(o.turn))
        mirror = torch.where(flip > 0, 1.0, -1.0)
        points = linear @ self.places
        points = torch.cat([points[:, :1] * mirror[:, :, None], points[:, 1:]], 1)
        moved = F.interpolate(
            nodes.reshape(-1, dims, *(o.nodes,) * dims),
            size=self.problem.size,
            mode="bilinear" if dims == 2 else "trilinear",
            align_corners=True,
        )
        points = points + self.edges * (o.shift * shift[:, :, None] + o.elastic * moved.flatten(2))
        grid = (points * (2.0 / self.edges)).transpose(1, 2).reshape(-1, *self.problem.size, dims)
        return _logits(F.grid_sample(self.masks[index].float(), grid, align_corners=False), dims)

    def _rotation(self, angles: Tensor) -> Tensor:
        """[N, turns] in radians → [N, dims, dims]."""
        return reduce(
            torch.matmul,
            (
                self.identity + angle.sin() * skew - (angle.cos() - 1.0) * (skew @ skew)
                for skew, angle in zip(self.skews, angles[:, :, None, None].unbind(1), strict=True)
            ),
        )


def _logits(share: Tensor, dims: int) -> Tensor:
    """Interpolated masks [N, 1, *S] in [0, 1] → logits.

    A voxel belongs to the lesion if its share is at least one half. Interpolation weakens lesions of one or two voxels,
    which would vanish. The threshold is therefore p(1 - p/2), where p is the largest share in the neighbourhood: a
    single voxel is hardly below its own peak, so it stays about one voxel.
    """
    peak = (F.max_pool2d if dims == 2 else F.max_pool3d)(share, 3, 1, 1)
    return _SHARPNESS * (share - (peak * (1.0 - 0.5 * peak)).clamp(min=_FAINTEST - 0.01))
