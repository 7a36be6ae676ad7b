"""`pix2pix`: a conditional GAN from label map to image.

P. Isola, J.-Y. Zhu, T. Zhou, A. Efros: Image-to-Image Translation with Conditional Adversarial Networks (2017), as
configured by Platscher, Zopes, Federau (arXiv 2010.02745): U-Net generator with 64 base filters and dropout 0.3 in the
decoder, or a generator of residual blocks; patch discriminator on image and labels, LSGAN, L1 weight 10, discriminator
weight 0.5, noise at the discriminator's input that decays to zero, history pool of 50, Adam 2e-4 with beta1 0.5.
Departures: dropout is off at inference, so an exported network gives the same output. Upsampling is nearest-neighbour
and a convolution, which leaves no checkerboard (Odena 2016). The history pool keeps its images, which the authors' does
not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from strokereg.core.roles import Batch, Move, Player, require_multiple
from strokereg.plugins.blocks.adversarial import ConditionalCritic, gan_players, lsgan_and_l1
from strokereg.plugins.blocks.layers import (
    CONV,
    DROPOUT,
    INSTANCE_NORM,
    HistoryPool,
    halvings,
    normal_weights,
    one_hot,
)
from strokereg.plugins.blocks.resnet_generator import ResNetGenerator
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem


class Pix2Pix(nn.Module):
    """Labels int64 [N, *S] → image [N, C, *S] in [-1, 1]; every edge is a multiple of 2^levels (ResNet: 4)."""

    class Options(Options):
        """Args:
        generator: U-Net, or residual blocks between two halvings and two doublings.
        ngf: filters of the generator's first level, doubled with each halving up to eightfold (ResNet: fourfold).
        ndf: filters of the discriminator's first layer.
        levels: halvings in the U-Net; fewer if the size does not allow them.
        blocks: residual blocks of the ResNet.
        dropout: in the U-Net's inner decoder levels or the residual blocks, during training.
        lr, beta1: of Adam, for both players; the rate falls to zero over the second half.
        adversarial, l1: weights of the generator's losses.
        discriminator: weight of the discriminator's loss.
        noise: initial standard deviation of the noise at the discriminator's input.
        pool: number of fakes kept for the discriminator.
        """

        generator: Literal["unet", "resnet"] = "unet"
        ngf: int = Field(default=64, ge=1)
        ndf: int = Field(default=32, ge=1)
        levels: int = Field(default=5, ge=1, le=8)
        blocks: int = Field(default=9, ge=1)
        dropout: float = Field(default=0.3, ge=0, lt=1)
        lr: float = Field(default=2e-4, gt=0)
        beta1: float = Field(default=0.5, ge=0, lt=1)
        adversarial: float = Field(default=1.0, ge=0)
        l1: float = Field(default=10.0, ge=0)
        discriminator: float = Field(default=0.5, gt=0)
        noise: float = Field(default=0.1, ge=0)
        pool: int = Field(default=50, ge=0)

    def __init__(self, problem: Problem, options: Options):
        super().__init__()
        self.options, self.labels = options, problem.labels
        if options.generator == "unet":
            self.generator = UNetGenerator(problem, options.ngf, options.levels, options.dropout)
        else:
            self.generator = ResNetGenerator(
                problem, problem.labels, problem.channels, options.ngf, options.blocks, options.dropout
            )
        self.multiple = self.generator.multiple
        normal_weights(self.generator)
        self.critic = ConditionalCritic(problem, options.ndf)
        # The pool keeps each fake with its labels, because the discriminator sees both.
        self.pool = HistoryPool(options.pool, problem.channels + 1, *problem.size)

    def forward(self, labels: Tensor) -> Tensor:
        require_multiple(labels.shape[1:], self.multiple, "pix2pix")
        return self.generator(one_hot(labels, self.labels)).tanh()

    def players(self) -> dict[str, Player]:
        return gan_players(self.critic, self.generator, self.options)

    def moves(self, batch: Batch) -> Iterator[Move]:
        spread = self.options.noise * (1.0 - batch.progress)

        def evaluate(image: Tensor, labels: Tensor) -> Tensor:
            return self.critic(image + spread * torch.randn_like(image), labels)

        fake = self(batch.labels)
        shown = self.pool.swap(torch.cat([fake.detach().float(), batch.labels[:, None].float()], 1))
        yield from lsgan_and_l1(self.options, evaluate, batch, fake, (shown[:, :-1], shown[:, -1].long()))


class UNetGenerator(nn.Module):
    """One-hot labels [N, L, *S] → image [N, C, *S], without a final activation; edges multiples of `multiple`."""

    def __init__(self, problem: Problem, ngf: int, levels: int, dropout: float):
        super().__init__()
        levels = halvings(problem.size, levels, smallest=3)
        self.multiple = 2**levels
        dims, before = problem.dims, problem.labels
        widths = [min(ngf * 2**depth, 8 * ngf) for depth in range(levels + 1)]
        self.stem = _block(dims, before, widths[0])
        self.down = nn.ModuleList(_block(dims, a, b, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList()
        for depth in range(levels, 0, -1):
            drop = dropout if depth > levels // 2 else 0.0
            self.up.append(_block(dims, widths[depth] + widths[depth - 1], widths[depth - 1], dropout=drop))
        self.head = CONV[dims](widths[0], problem.channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.stem(x)]
        for block in self.down:
            skips.append(block(skips[-1]))
        x = skips.pop()
        for block in self.up:
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), skips.pop()], 1))
        return self.head(x)


def _block(dims: int, before: int, width: int, stride: int = 1, dropout: float = 0.0) -> nn.Sequential:
    layers: list[nn.Module] = [
        CONV[dims](before, width, 4 if stride == 2 else 3, stride, 1),
        INSTANCE_NORM[dims](width, affine=True),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    if dropout:
        layers.append(DROPOUT[dims](dropout))
    return nn.Sequential(*layers)
