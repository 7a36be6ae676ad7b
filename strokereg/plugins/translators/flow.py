"""`flow`: a rectified flow, which turns noise into an image in a few steps along a learnt velocity.

Y. Lipman, R. Chen, H. Ben-Hamu, M. Nickel, M. Le: Flow Matching for Generative Modeling (2023); X. Liu, C. Gong, Q.
Liu: Flow Straight and Fast (2023), first rectification. On the line x_t = (1 - t) noise + t image, a network with the
labels as condition learns the velocity image - noise; sampling follows it from noise by Euler's method. Departures: a
small residual U-Net with instance norm and without attention. At inference, the noise is derived from z by
`noise_field.white`, so the same z gives the same image in every runtime; in training, it comes from torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from strokereg.core.roles import Batch, Move, Player, require_multiple
from strokereg.plugins.blocks.layers import CONV, INSTANCE_NORM, halvings, one_hot
from strokereg.plugins.blocks.noise_field import white
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem


class Flow(nn.Module):
    """Labels int64 [N, *S], z [N, noise] → image [N, C, *S] in [-1, 1]; every edge is a multiple of 2^levels."""

    class Options(Options):
        """Args:
        ngf: filters of the first level, doubled with each halving up to fourfold.
        levels: halvings; fewer if the size does not allow them.
        noise: width of z, the seed of the noise field.
        sampling_steps: Euler steps from noise to image.
        lr, clip: learning rate of Adam and largest gradient norm.
        """

        ngf: int = Field(default=64, ge=1)
        levels: int = Field(default=4, ge=1, le=8)
        noise: int = Field(default=16, ge=1)
        sampling_steps: int = Field(default=4, ge=1, le=100)
        lr: float = Field(default=5e-4, gt=0)
        clip: float = Field(default=1.0, gt=0)

    def __init__(self, problem: Problem, options: Options):
        super().__init__()
        self.options, self.noise = options, options.noise
        self.labels, self.channels = problem.labels, problem.channels
        levels = halvings(problem.size, options.levels, smallest=3)
        self.multiple = 2**levels
        self.velocity = VelocityUNet(problem, options.ngf, levels)

    def forward(self, labels: Tensor, z: Tensor) -> Tensor:
        require_multiple(labels.shape[1:], self.multiple, "flow")
        maps, steps = one_hot(labels, self.labels), self.options.sampling_steps
        x = white(z, labels.shape[1:], self.channels)
        for step in range(steps):
            now = x.new_full((1,), step / steps)
            x = x + self.velocity(x, maps, now).float() / steps
        return x.clamp(-1.0, 1.0)

    def players(self) -> dict[str, Player]:
        o = self.options
        return {"flow": Player(list(self.velocity.parameters()), o.lr, (0.9, 0.999), schedule="linear", clip=o.clip)}

    def moves(self, batch: Batch) -> Iterator[Move]:
        image, noise = batch.image, torch.randn_like(batch.image)
        t = torch.rand(len(image), device=image.device)
        share = t.reshape(-1, *(1,) * (image.ndim - 1))
        on_the_way = (1.0 - share) * noise + share * image
        velocity = self.velocity(on_the_way, one_hot(batch.labels, self.labels), t)
        yield "flow", {"velocity": F.mse_loss(velocity.float(), image - noise)}


class VelocityUNet(nn.Module):
    """Point x [N, C, *S], one-hot labels [N, L, *S], time t in 0 … 1 [N] or [1] → velocity [N, C, *S]."""

    def __init__(self, problem: Problem, ngf: int, levels: int):
        super().__init__()
        conv = CONV[problem.dims]
        widths = [min(ngf * 2**depth, 4 * ngf) for depth in range(levels + 1)]
        self.clock = Clock(4 * ngf)
        self.stem = conv(problem.channels + problem.labels, widths[0], 3, padding=1)
        self.first = TimedBlock(problem.dims, widths[0], widths[0], 4 * ngf)
        self.halve = nn.ModuleList(conv(a, a, 4, 2, 1) for a in widths[:-1])
        self.down = nn.ModuleList(TimedBlock(problem.dims, a, b, 4 * ngf) for a, b in pairwise(widths))
        self.up = nn.ModuleList(TimedBlock(problem.dims, a + b, b, 4 * ngf) for a, b in pairwise(widths[::-1]))
        # The head also gets the unnormalised stem, because the velocity contains the noise at its own scale.
        self.head = conv(2 * widths[0], problem.channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor, maps: Tensor, t: Tensor) -> Tensor:
        time = self.clock(t)
        stem = self.stem(torch.cat([x, maps.to(x.dtype)], 1))
        skips = [self.first(stem, time)]
        for halve, block in zip(self.halve, self.down, strict=True):
            skips.append(block(halve(skips[-1]), time))
        x = skips.pop()
        for block in self.up:
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), skips.pop()], 1), time)
        return self.head(torch.cat([F.silu(x), stem], 1))


class Clock(nn.Module):
    """Time t [N] → embedding [N, width]: sines and cosines of 1 t to 1000 t through two layers."""

    def __init__(self, width: int, waves: int = 16):
        super().__init__()
        self.register_buffer("rates", torch.logspace(0.0, 3.0, waves), persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * waves, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, t: Tensor) -> Tensor:
        angle = t[:, None] * self.rates
        return self.layers(torch.cat([angle.sin(), angle.cos()], 1))


class TimedBlock(nn.Module):
    """Residual block whose second norm is scaled and shifted by the time (Dhariwal 2021)."""

    def __init__(self, dims: int, before: int, width: int, time: int):
        super().__init__()
        conv, norm = CONV[dims], INSTANCE_NORM[dims]
        self.dims = dims
        self.norm1, self.conv1 = norm(before, affine=True), conv(before, width, 3, padding=1)
        self.norm2, self.conv2 = norm(width), conv(width, width, 3, padding=1)
        self.scale_and_shift = nn.Linear(time, 2 * width)
        self.short = nn.Identity() if before == width else conv(before, width, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.scale_and_shift(time)[(..., *(None,) * self.dims)].chunk(2, 1)
        y = self.conv1(F.silu(self.norm1(x)))
        return self.short(x) + self.conv2(F.silu(self.norm2(y) * (1.0 + scale) + shift))
