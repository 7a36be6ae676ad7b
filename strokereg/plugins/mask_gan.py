"""`mask-gan`: draws lesion masks out of noise.

The mask GAN of Platscher, Zopes, Federau (arXiv 2010.02745): latent vector of 100, dense layer, then
upsample-and-convolve up to the mask's size; a critic of strided convolutions without normalisation; trained with
the LSGAN (Mao 2017), Jensen-Shannon (Goodfellow 2014) or Wasserstein loss with gradient penalty 10 (Gulrajani
2017). Departures: any size that halves evenly instead of 32 and up in cubes; masks stay in the place of the brain
where they were drawn, so the network learns where strokes lie as well as how they look.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from strokereg.core.options import Options
from strokereg.core.problem import Problem
from strokereg.core.roles import Batch, Move, Player
from strokereg.core.roles import noise as draw_noise
from strokereg.plugins.layers import CONV, INSTANCE_NORM, halvings, least_squares, normal_weights


class MaskGan(nn.Module):
    """Noise z [N, Z] → lesion mask logits [N, 1, *S] of the size it was built for."""

    class Options(Options):
        """Args:
        loss: adversarial loss; Wasserstein comes with the gradient penalty.
        ngf, ndf: filters of the generator's finest and the critic's first layer, doubled up to eightfold.
        latent: width of the noise vector.
        critic_moves: critic moves before each generator move (Wasserstein).
        penalty: weight of the gradient penalty (Wasserstein).
        lr, beta1: of Adam, for both players.
        """

        loss: Literal["lsgan", "jensen-shannon", "wasserstein"] = "wasserstein"
        ngf: int = Field(default=32, ge=1)
        ndf: int = Field(default=32, ge=1)
        latent: int = Field(default=100, ge=1)
        critic_moves: int = Field(default=3, ge=1)
        penalty: float = Field(default=10.0, ge=0)
        lr: float = Field(default=2e-4, gt=0)
        beta1: float = Field(default=0.5, ge=0, lt=1)

    def __init__(self, problem: Problem, options: Options):
        super().__init__()
        self.options, self.noise, self.size = options, options.latent, problem.size
        levels = halvings(problem.size, most=6)
        self.generator = _Generator(problem, options, levels)
        self.critic = _critic(problem, options, levels)
        normal_weights(self.critic)

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z)

    def players(self) -> dict[str, Player]:
        o = self.options
        betas = (0.0, 0.9) if o.loss == "wasserstein" else (o.beta1, 0.999)
        return {
            "critic": Player(list(self.critic.parameters()), o.lr, betas, average=False),
            "generator": Player(list(self.generator.parameters()), o.lr, betas),
        }

    def moves(self, batch: Batch) -> Iterator[Move]:
        real = batch.mask * 2.0 - 1.0
        rounds = self.options.critic_moves if self.options.loss == "wasserstein" else 1
        for _ in range(rounds):
            with torch.no_grad():
                fake = self.draw(len(real))
            yield "critic", self.critic_losses(real, fake)
        yield "generator", {"gan": self.generator_loss(self.critic(self.draw(len(real))).float())}

    def draw(self, count: int) -> Tensor:
        """Soft masks in [-1, 1], [count, 1, *S], from fresh noise."""
        return self(draw_noise(self, count)).tanh().float()

    def critic_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The critic's side of the chosen loss."""
        on_real, on_fake = self.critic(real).float(), self.critic(fake).float()
        if self.options.loss == "wasserstein":
            return {
                "gan": on_fake.mean() - on_real.mean(),
                "penalty": self.options.penalty * self.gradient_penalty(real, fake),
            }
        if self.options.loss == "lsgan":
            return {"gan": least_squares(on_real, 1.0) + least_squares(on_fake, 0.0)}
        return {"gan": F.softplus(-on_real).mean() + F.softplus(on_fake).mean()}

    def generator_loss(self, logits: Tensor) -> Tensor:
        """The generator's side: non-saturating for Jensen-Shannon."""
        if self.options.loss == "wasserstein":
            return -logits.mean()
        if self.options.loss == "lsgan":
            return least_squares(logits, 1.0)
        return F.softplus(-logits).mean()

    def gradient_penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """(‖∇D‖ - 1)² at points between real and fake (Gulrajani 2017, equation 3), in full precision."""
        share = torch.rand(len(real), *(1,) * (real.ndim - 1), device=real.device)
        between = (share * real + (1.0 - share) * fake).detach().requires_grad_(True)
        with torch.autocast(real.device.type, enabled=False):
            (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1.0).square().mean()


class _Generator(nn.Module):
    def __init__(self, problem: Problem, options: MaskGan.Options, levels: int):
        super().__init__()
        dims = problem.dims
        self.start = tuple(n // 2**levels for n in problem.size)
        widths = [min(options.ngf * 2**depth, 8 * options.ngf) for depth in range(levels, -1, -1)]
        self.width = widths[0]
        cells = 1
        for n in self.start:
            cells *= n
        self.dense = nn.Linear(options.latent, self.width * cells)
        self.ups = nn.ModuleList(
            nn.Sequential(
                nn.Upsample(scale_factor=2.0),
                CONV[dims](a, b, 3, padding=1),
                INSTANCE_NORM[dims](b, affine=True),
                nn.LeakyReLU(0.2),
            )
            for a, b in pairwise(widths)
        )
        self.head = CONV[dims](widths[-1], 1, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = F.leaky_relu(self.dense(z).reshape(-1, self.width, *self.start), 0.2)
        for up in self.ups:
            x = up(x)
        return self.head(x)


def _critic(problem: Problem, options: MaskGan.Options, levels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 1
    for depth in range(levels):
        width = min(options.ndf * 2**depth, 8 * options.ndf)
        layers += [CONV[problem.dims](before, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        before = width
    cells = before
    for n in problem.size:
        cells *= n // 2**levels
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(cells, 1))
