"""`mask-gan`: draws lesion masks out of noise.

The mask GAN of Platscher, Zopes, Federau (arXiv 2010.02745): latent vector of 100, dense layer, then
upsample-and-convolve up to the mask's size; a critic of strided convolutions without normalisation; trained with
the LSGAN (Mao 2017), Jensen-Shannon (Goodfellow 2014) or Wasserstein loss with gradient penalty 10 (Gulrajani
2017). Departures: any size that halves evenly instead of 32 and up in cubes; masks stay in the place of the brain
where they were drawn, so the network learns where strokes lie as well as how they look; optional conditioning on the
lesion's volume, see `for_volume`, which also keeps the masks' sizes apart and steady. Learning rates fall to zero over
the second half (as in Gulrajani's code), and the Wasserstein generator starts from masks that are empty rather than
half of the brain, from where it overshot. On real lesions, a few voxels each, LSGAN soon drew
nothing but empty masks; so for it and for Jensen-Shannon the critic sees masks cut to two values (`cut`), through noise
(as the paper's translators do, but of constant strength), and starts from weights that let it hear a small lesion
(`_critic`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from strokereg.core.roles import Batch, Move, Player
from strokereg.core.roles import noise as draw_noise
from strokereg.plugins.blocks.layers import CONV, INSTANCE_NORM, halvings, least_squares, normal_weights
from strokereg.registry.errors import InputError
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem

_EMPTY = -0.5  # of a voxel in the first masks: below 0, and tanh still has slope to grow from


class MaskGan(nn.Module):
    """Noise z [N, Z] → lesion mask logits [N, 1, *S] of the size it was built for."""

    class Options(Options):
        """Args:
        loss: adversarial loss; Wasserstein comes with the gradient penalty.
        ngf, ndf: filters of the generator's finest and the critic's first layer, doubled up to eightfold.
        latent: width of the noise vector.
        critic_moves: critic moves before each generator move (Wasserstein).
        penalty: weight of the gradient penalty (Wasserstein).
        critic_noise: standard deviation of Gaussian noise on the masks that the critic sees (LSGAN, Jensen-Shannon).
        lr, beta1: of Adam, for both players; halfway the rate starts to fall to zero.
        volume: the last component of z asks for the lesion's volume; see `MaskGan.for_volume`.
        volume_weight: of the squared error of the log volume.
        """

        loss: Literal["lsgan", "jensen-shannon", "wasserstein"] = "wasserstein"
        ngf: int = Field(default=32, ge=1)
        ndf: int = Field(default=32, ge=1)
        latent: int = Field(default=100, ge=1)
        critic_moves: int = Field(default=3, ge=1)
        penalty: float = Field(default=10.0, ge=0)
        critic_noise: float = Field(default=0.5, ge=0)
        lr: float = Field(default=2e-4, gt=0)
        beta1: float = Field(default=0.5, ge=0, lt=1)
        volume: bool = False
        volume_weight: float = Field(default=10.0, ge=0)

    def __init__(self, problem: Problem, options: Options):
        super().__init__()
        self.options, self.noise, self.size = options, options.latent + options.volume, problem.size
        levels = halvings(problem.size, most=6)
        self.generator = _Generator(problem, options, levels)
        self.critic = _critic(problem, options, levels)
        if options.loss == "wasserstein":
            nn.init.constant_(self.generator.head.bias, _EMPTY)
            with torch.no_grad():
                self.generator.head.weight.mul_(0.5)
        # A critic of cut masks asks for the right sign only, so the step from sign to certainty is made short.
        self.sharpness = 1.0 if options.loss == "wasserstein" else 4.0
        if options.volume:
            # Number of training masks looked at, and sum and sum of squares of their log volumes.
            self.register_buffer("volumes", torch.zeros(3, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return self.sharpness * self.generator(z)

    def for_volume(self, z: Tensor, amount: float, voxel: float) -> Tensor:
        """The same noise, asking for a lesion of this volume.

        Args:
            z: [N, Z].
            amount: of lesion in what the network draws: ml of a volume, or mm² of a slice where `dims` is 2.
            voxel: what one voxel amounts to in the same unit: ml, or mm² in 2D.

        Raises:
            InputError: a network without `volume=true`, or one that has not been trained.
        """
        if not self.options.volume:
            raise InputError("mask-gan: was trained without volumes; train it with --set volume=true")
        if not self.volumes[0]:
            raise InputError("mask-gan: knows no volumes before it has been trained; train it first")
        mean, spread = self._scale()
        asked = z.clone()
        asked[:, -1] = (torch.tensor(amount / voxel).log1p().to(z) - mean) / spread
        return asked

    def players(self) -> dict[str, Player]:
        o = self.options
        betas = (0.0, 0.9) if o.loss == "wasserstein" else (o.beta1, 0.999)
        return {
            "critic": Player(list(self.critic.parameters()), o.lr, betas, schedule="linear", average=False),
            "generator": Player(list(self.generator.parameters()), o.lr, betas, schedule="linear"),
        }

    def moves(self, batch: Batch) -> Iterator[Move]:
        real = batch.mask * 2.0 - 1.0
        if self.options.volume:
            logs = batch.mask.flatten(1).sum(1).double().log1p()
            self.volumes += torch.stack([torch.ones_like(logs), logs, logs**2]).sum(1)
        rounds = self.options.critic_moves if self.options.loss == "wasserstein" else 1
        for _ in range(rounds):
            with torch.no_grad():
                fake = self.draw(draw_noise(self, len(real)))
            yield "critic", self.critic_losses(real, fake)
        z = draw_noise(self, len(real))
        fake = self.draw(z)
        losses = {"gan": self.generator_loss(self.evaluate(fake))}
        if self.options.volume:
            losses["volume"] = self.options.volume_weight * self.volume_loss(fake, z[:, -1])
        yield "generator", losses

    def draw(self, z: Tensor) -> Tensor:
        """Masks in [-1, 1] as the critic is to see them, [N, 1, *S]: soft for Wasserstein, else cut."""
        soft = self(z).tanh().float()
        return soft if self.options.loss == "wasserstein" else cut(soft)

    def evaluate(self, masks: Tensor) -> Tensor:
        """The critic's answer [N, 1]. Noise hides what tells drawn masks from real ones at a single voxel."""
        if self.options.loss != "wasserstein":
            masks = masks + self.options.critic_noise * torch.randn_like(masks)
        return self.critic(masks).float()

    def volume_loss(self, fake: Tensor, asked: Tensor) -> Tensor:
        """Squared distance of the masks' log volumes to those asked for, [N].

        In logarithms and not in standard deviations, which vanish where all training masks are of one size.
        """
        voxels = ((cut(fake) + 1.0) / 2.0).flatten(1).sum(1)
        mean, spread = self._scale()
        return (voxels.log1p() - (mean + spread * asked)).square().mean()

    def _scale(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training masks' log(1 + voxels)."""
        count, total, squares = self.volumes
        mean = total / count
        # Masks all of one size have no spread, and a volume that is asked for still needs one to be told in.
        return mean.float(), (squares / count - mean**2).clamp(min=0.01).sqrt().float()

    def critic_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The critic's side of the chosen loss."""
        on_real, on_fake = self.evaluate(real), self.evaluate(fake)
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


def cut(soft: Tensor) -> Tensor:
    """Soft masks in [-1, 1] → -1 or 1, as they will be used; the gradient passes as if nothing were cut (Bengio 2013).

    Otherwise a critic learns to hate softness, and the shortest way to a mask without any is an empty one.
    """
    return soft + (torch.where(soft > 0, 1.0, -1.0) - soft).detach()


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
        self.dense = nn.Linear(options.latent + options.volume, self.width * cells)
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
    """Strided convolutions, evaluation the whole mask.

    With the usual N(0, 0.02) and no normalisation each layer passes on a third of what it hears: the answers to 64
    masks of one small lesion each differed by 0.0002 before training, and LSGAN's critic stayed at chance. The gradient
    penalty mends that for Wasserstein. The others start from He's (2015) convolutions, which hear it, and from a last
    layer of zeros, which has no opinion yet that would send the generator astray.
    """
    layers: list[nn.Module] = []
    before = 1
    for depth in range(levels):
        width = min(options.ndf * 2**depth, 8 * options.ndf)
        layers += [CONV[problem.dims](before, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        before = width
    cells = before
    for n in problem.size:
        cells *= n // 2**levels
    critic = nn.Sequential(*layers, nn.Flatten(), nn.Linear(cells, 1))
    if options.loss == "wasserstein":
        normal_weights(critic)
        return critic
    for layer in critic:
        if isinstance(layer, CONV[problem.dims]):
            nn.init.kaiming_normal_(layer.weight, 0.2)
            nn.init.zeros_(layer.bias)
    nn.init.zeros_(critic[-1].weight)
    return critic
