"""`spade`: noise to image through residual blocks that the label map modulates at every scale.

T. Park, M.-Y. Liu, T.-C. Wang, J.-Y. Zhu: Semantic Image Synthesis with Spatially-Adaptive Normalization (2019), as
configured by Platscher, Zopes, Federau (arXiv 2010.02745): a dense layer turns a noise vector (100) into a 4 x 4 (x 4)
map, which SPADE residual blocks upsample. Label maps are max-pooled to each scale, which preserves small lesions. LSGAN
and L1 replace the authors' hinge, multi-scale and feature matching losses. Departures: the dense map is resized to the
coarsest grid if that is not 4 x 4, so the network takes any size that halves evenly.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from strokereg.core.roles import Batch, Move, Player, require_multiple
from strokereg.core.roles import noise as draw_noise
from strokereg.plugins.blocks.adversarial import ConditionalCritic, gan_players, lsgan_and_l1
from strokereg.plugins.blocks.layers import (
    CONV,
    INSTANCE_NORM,
    MAX_POOL,
    halvings,
    one_hot,
)
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem

_START = 4  # edge of the map from the dense layer


class Spade(nn.Module):
    """Labels int64 [N, *S], z [N, 100] → image [N, C, *S] in [-1, 1]; every edge is a multiple of 2^levels."""

    class Options(Options):
        """Args:
        ngf: filters of the finest level; doubled with each halving up to eightfold.
        ndf: filters of the discriminator's first layer.
        hidden: filters between labels and modulation maps.
        levels: doublings from the dense map to the image; fewer if the size does not allow them.
        noise: width of the noise vector.
        lr, beta1: of Adam, for both players; the rate falls to zero over the second half.
        adversarial, l1: weights of the generator's losses.
        discriminator: weight of the discriminator's loss.
        """

        ngf: int = Field(default=64, ge=1)
        ndf: int = Field(default=32, ge=1)
        hidden: int = Field(default=128, ge=1)
        levels: int = Field(default=5, ge=1, le=8)
        noise: int = Field(default=100, ge=1)
        lr: float = Field(default=2e-4, gt=0)
        beta1: float = Field(default=0.5, ge=0, lt=1)
        adversarial: float = Field(default=1.0, ge=0)
        l1: float = Field(default=10.0, ge=0)
        discriminator: float = Field(default=0.5, gt=0)

    def __init__(self, problem: Problem, options: Options):
        super().__init__()
        self.options, self.labels, self.noise = options, problem.labels, options.noise
        self.generator = SpadeGenerator(problem, options.ngf, options.hidden, options.noise, options.levels)
        self.multiple = self.generator.multiple
        self.critic = ConditionalCritic(problem, options.ndf)

    def forward(self, labels: Tensor, z: Tensor) -> Tensor:
        require_multiple(labels.shape[1:], self.multiple, "spade")
        return self.generator(one_hot(labels, self.labels), z)

    def players(self) -> dict[str, Player]:
        return gan_players(self.critic, self.generator, self.options)

    def moves(self, batch: Batch) -> Iterator[Move]:
        fake = self(batch.labels, draw_noise(self, len(batch.labels)))
        yield from lsgan_and_l1(self.options, self.critic, batch, fake, (fake.detach(), batch.labels))


class SpadeGenerator(nn.Module):
    """One-hot labels [N, L, *S] and z [N, noise] → image [N, C, *S] in [-1, 1]; edges multiples of `multiple`."""

    def __init__(self, problem: Problem, ngf: int, hidden: int, noise: int, levels: int):
        super().__init__()
        levels = halvings(problem.size, levels, smallest=_START)
        self.dims, self.levels, self.multiple = problem.dims, levels, 2**levels
        widths = [min(ngf * 2**depth, 8 * ngf) for depth in range(levels, -1, -1)]
        self.width = widths[0]
        self.dense = nn.Linear(noise, self.width * _START**problem.dims)
        self.blocks = nn.ModuleList(
            SpadeBlock(problem, a, b, hidden) for a, b in zip([widths[0], *widths], widths, strict=False)
        )
        self.head = CONV[problem.dims](widths[-1], problem.channels, 3, padding=1)

    def forward(self, maps: Tensor, z: Tensor) -> Tensor:
        pyramid = [maps]
        for _ in range(self.levels):
            pyramid.append(MAX_POOL[self.dims](pyramid[-1], 2))
        x = self.dense(z).reshape(-1, self.width, *(_START,) * self.dims)
        x = F.interpolate(x, size=pyramid[-1].shape[2:])
        for depth, block in enumerate(self.blocks):
            if depth:
                x = F.interpolate(x, scale_factor=2.0)
            x = block(x, pyramid[self.levels - depth])
        return self.head(F.leaky_relu(x, 0.2)).tanh()


class SpadeBlock(nn.Module):
    """Residual block of two modulated convolutions; the skip connection is modulated too if the width changes."""

    def __init__(self, problem: Problem, before: int, width: int, hidden: int):
        super().__init__()
        middle, conv = min(before, width), CONV[problem.dims]
        self.first, self.second = Modulation(problem, before, hidden), Modulation(problem, middle, hidden)
        self.conv1, self.conv2 = conv(before, middle, 3, padding=1), conv(middle, width, 3, padding=1)
        self.short = None
        if before != width:
            self.short_norm = Modulation(problem, before, hidden)
            self.short = conv(before, width, 1, bias=False)

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        short = x if self.short is None else self.short(self.short_norm(x, maps))
        x = self.conv1(F.leaky_relu(self.first(x, maps), 0.2))
        return short + self.conv2(F.leaky_relu(self.second(x, maps), 0.2))


class Modulation(nn.Module):
    """Spatially-adaptive normalisation (Park 2019, equation 1), on instance instead of batch statistics."""

    def __init__(self, problem: Problem, width: int, hidden: int):
        super().__init__()
        conv = CONV[problem.dims]
        self.norm = INSTANCE_NORM[problem.dims](width)
        self.shared = nn.Sequential(conv(problem.labels, hidden, 3, padding=1), nn.ReLU(inplace=True))
        self.scale_and_shift = conv(hidden, 2 * width, 3, padding=1)

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        scale, shift = self.scale_and_shift(self.shared(maps)).chunk(2, 1)
        return self.norm(x) * (1.0 + scale) + shift
