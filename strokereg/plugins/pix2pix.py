"""`pix2pix`: the translator of the paper's first row.

P. Isola, J.-Y. Zhu, T. Zhou, A. Efros: Image-to-Image Translation with Conditional Adversarial Networks (2017),
in the recipe of Platscher, Zopes, Federau (arXiv 2010.02745): U-Net generator with 64 base filters and dropout
0.3 in the decoder, patch discriminator on image and labels, LSGAN, L1 weight 10, discriminator weight 0.5,
noise at the discriminator's input that decays to zero, history pool of 50, Adam 2e-4 with beta1 0.5.
Departures: dropout is off at inference, so that an exported network gives what training judged; upsampling is
nearest + convolution, which leaves no checkerboard (Odena 2016); the pool really keeps its images.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from strokereg.core.options import Options
from strokereg.core.problem import Problem
from strokereg.core.roles import Batch, Move, Player
from strokereg.plugins.layers import (
    CONV,
    DROPOUT,
    INSTANCE_NORM,
    HistoryPool,
    PatchDiscriminator,
    halvings,
    least_squares,
    normal_weights,
    one_hot,
    require_multiple,
)


class Pix2Pix(nn.Module):
    """Labels int64 [N, *S] → image [N, C, *S] in [-1, 1]; every edge a multiple of 2^levels."""

    class Options(Options):
        """Args:
        ngf: filters of the generator's first level; doubled up to eightfold.
        ndf: filters of the discriminator's first layer.
        levels: halvings in the generator; fewer where the size does not allow them.
        dropout: in the inner decoder levels, while training.
        lr, beta1: of Adam, for both players; halfway the rate starts to fall to zero.
        adversarial, l1: weights of the generator's losses.
        discriminator: weight of the discriminator's loss.
        noise: standard deviation at the discriminator's input at the start.
        pool: fakes kept for the discriminator.
        """

        ngf: int = Field(default=64, ge=1)
        ndf: int = Field(default=32, ge=1)
        levels: int = Field(default=5, ge=1, le=8)
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
        levels = halvings(problem.size, options.levels, smallest=2)
        self.multiple = 2**levels
        self.generator = UNetGenerator(problem, options.ngf, levels, options.dropout)
        d = options.ndf
        self.critic = PatchDiscriminator(
            problem.dims, problem.channels + problem.labels, (d, 2 * d, 4 * d, 8 * d, 8 * d), strided=3
        )
        # The pool keeps the fake with its labels: the discriminator judges the two together.
        self.pool = HistoryPool(options.pool, problem.channels + 1, *problem.size)
        normal_weights(self)

    def forward(self, labels: Tensor) -> Tensor:
        require_multiple(labels.shape[1:], self.multiple, "pix2pix")
        return self.generator(one_hot(labels, self.labels))

    def players(self) -> dict[str, Player]:
        o = self.options
        adam = {"lr": o.lr, "betas": (o.beta1, 0.999), "schedule": "linear"}
        return {
            "discriminator": Player(list(self.critic.parameters()), average=False, **adam),
            "generator": Player(list(self.generator.parameters()), **adam),
        }

    def moves(self, batch: Batch) -> Iterator[Move]:
        o, spread = self.options, self.options.noise * (1.0 - batch.progress)
        fake = self(batch.labels)
        shown = self.pool.swap(torch.cat([fake.detach().float(), batch.labels[:, None].float()], 1))
        real_logits = self.judge(batch.image, batch.labels, spread)
        fake_logits = self.judge(shown[:, :-1], shown[:, -1].long(), spread)
        gan = least_squares(real_logits, 1.0) + least_squares(fake_logits, 0.0)
        yield "discriminator", {"gan": o.discriminator * gan}
        gan = least_squares(self.judge(fake, batch.labels, spread), 1.0)
        yield "generator", {"gan": o.adversarial * gan, "l1": o.l1 * F.l1_loss(fake.float(), batch.image)}

    def judge(self, image: Tensor, labels: Tensor, spread: float) -> Tensor:
        """Patch logits [N, 1, *S'] of an image with its labels, seen through Gaussian noise."""
        noisy = image + spread * torch.randn_like(image)
        return self.critic(torch.cat([noisy, one_hot(labels, self.labels).to(noisy.dtype)], 1))


class UNetGenerator(nn.Module):
    """One-hot labels [N, L, *S] → image [N, C, *S] in [-1, 1]."""

    def __init__(self, problem: Problem, ngf: int, levels: int, dropout: float):
        super().__init__()
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
        return self.head(x).tanh()


def _block(dims: int, before: int, width: int, stride: int = 1, dropout: float = 0.0) -> nn.Sequential:
    layers: list[nn.Module] = [
        CONV[dims](before, width, 4 if stride == 2 else 3, stride, 1),
        INSTANCE_NORM[dims](width, affine=True),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    if dropout:
        layers.append(DROPOUT[dims](dropout))
    return nn.Sequential(*layers)
