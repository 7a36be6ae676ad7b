"""`mask-gan`: a GAN that draws lesion masks from noise.

The mask GAN of Platscher, Zopes, Federau (arXiv 2010.02745): a latent vector of 100, a dense layer, then upsampling and
convolution to the size of the mask; a critic of strided convolutions without normalisation; trained with the LSGAN (Mao
2017), Jensen-Shannon (Goodfellow 2014) or Wasserstein loss with gradient penalty 10 (Gulrajani 2017).
Departures: any size that halves evenly, instead of cubes of 32 and more. Masks keep their place in the brain, so the
network learns where strokes are as well as their shape. The volume of the lesion can be a condition (`for_volume`),
and is then met exactly: the logits are shifted so that as many voxels as were asked for are above zero. Sizes vary as
those of the training masks do from the first step on, even with few of them. Learning rates fall to zero over the
second half (as in Gulrajani's code). The Wasserstein generator starts from empty masks; when it started from masks of
half the brain, it overshot. On real lesions of a few voxels, LSGAN soon drew only empty masks. For LSGAN and
Jensen-Shannon, the critic therefore sees binary masks (`cut`) with constant noise, and starts from weights that respond
to a small lesion (`_critic`). Moving masks at random before the critic sees them, as Karras does for few images
(arXiv 2006.06676), was tried with ten masks and a share of 0.4: lesions fell into pieces, 5.5 instead of 2.0 each.
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
from strokereg.plugins.generators.mask_library import MaskLibrary
from strokereg.registry.errors import InputError
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem

_HALVINGS = 20  # of the interval in which the threshold of a volume lies
_EMPTY = -0.5  # bias of the first masks: below 0, but not so low that tanh has no slope


class MaskGan(nn.Module):
    """Noise z [N, Z] → lesion mask logits [N, 1, *S] of the size it was built for."""

    class Options(Options):
        """Args:
        loss: adversarial loss; Wasserstein includes the gradient penalty.
        ngf, ndf: filters of the generator's finest and the critic's first layer, doubled with each level to eightfold.
        latent: width of the noise vector.
        critic_moves: moves of the critic before each move of the generator (Wasserstein).
        penalty: weight of the gradient penalty (Wasserstein).
        critic_noise: standard deviation of Gaussian noise on the masks that the critic sees (LSGAN, Jensen-Shannon).
        lr, beta1: of Adam, for both players; the rate falls to zero over the second half.
        volume: make the last component of z the volume of the lesion; see `MaskGan.for_volume`.
        pretraining: share of the steps on the warped masks of `folder`, before those on the training masks.
        folder, without, heights: see `mask-library`; used for pre-training only.
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
        pretraining: float = Field(default=0.0, ge=0, lt=1)
        folder: str = ""
        without: tuple[str, ...] = ()
        heights: tuple[float, ...] = ()

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
        # A critic of binary masks rewards the right sign only, so logits are scaled up to be confident.
        self.sharpness = 1.0 if options.loss == "wasserstein" else 4.0
        if options.volume:
            # Of the training masks seen: their number, and the mean and variance of their log volumes.
            self.register_buffer("volumes", torch.zeros(3))
        if options.pretraining:
            if not options.folder:
                raise InputError(
                    "mask-gan: pre-training needs a folder of lesion masks in MNI space; give it with --set folder=DIR "
                    "or with --mask-library in a study"
                )
            source = {name: getattr(options, name) for name in ("folder", "without", "heights")}
            self.library = MaskLibrary(problem, MaskLibrary.Options(**source))

    def forward(self, z: Tensor) -> Tensor:
        logits = self.generator(z)
        if self.options.volume:
            logits = logits - threshold(logits, self.voxels(z[:, -1]))
        return self.sharpness * logits

    def for_volume(self, z: Tensor, amount: float, voxel: float) -> Tensor:
        """Return the noise with its last component set to this lesion volume.

        Args:
            z: [N, Z].
            amount: size of the lesion: ml in 3D, mm² in 2D.
            voxel: size of one voxel in the same unit.

        Raises:
            InputError: a network without `volume=true`, or one that has not been trained.
        """
        if not self.options.volume:
            raise InputError("mask-gan: was trained without volumes; train it with --set volume=true")
        if not self.volumes[0]:
            raise InputError("mask-gan: has not seen any volumes yet; train it first")
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
        masks = self.training_masks(batch) if self.options.pretraining else batch.mask
        real = masks * 2.0 - 1.0
        if self.options.volume:
            self.see_volumes(masks)
        rounds = self.options.critic_moves if self.options.loss == "wasserstein" else 1
        for _ in range(rounds):
            with torch.no_grad():
                fake = self.draw(draw_noise(self, len(real)))
            yield "critic", self.critic_losses(real, fake)
        fake = self.draw(draw_noise(self, len(real)))
        yield "generator", {"gan": self.generator_loss(self.evaluate(fake))}

    @torch.no_grad()
    def training_masks(self, batch: Batch) -> Tensor:
        """Warped masks of the folder during pre-training, [N, 1, *S]; then those of the batch.

        The first batches tell the library the extent of the brain. After pre-training its masks are erased, so that a
        finished run does not hold them.
        """
        if batch.progress >= self.options.pretraining:
            self.library.masks.zero_()
            return batch.mask
        if int(self.library.looked) < self.library.looks:
            list(self.library.moves(batch))
            return batch.mask
        return (self.library(draw_noise(self.library, len(batch.mask))) > 0).to(batch.mask)

    def draw(self, z: Tensor) -> Tensor:
        """Masks in [-1, 1] for the critic, [N, 1, *S]: soft for Wasserstein, else binary."""
        soft = self(z).tanh().float()
        return soft if self.options.loss == "wasserstein" else cut(soft)

    def evaluate(self, masks: Tensor) -> Tensor:
        """Logits of the critic, [N, 1]. Noise hides differences at single voxels, except for Wasserstein."""
        if self.options.loss != "wasserstein":
            masks = masks + self.options.critic_noise * torch.randn_like(masks)
        return self.critic(masks).float()

    def voxels(self, asked: Tensor) -> Tensor:
        """Voxels of the lesion, [N], from its log volume in standard deviations of the training masks', [N]."""
        mean, spread = self._scale()
        return (mean + spread * asked).exp() - 1.0

    def see_volumes(self, masks: Tensor) -> None:
        """Update mean and variance of the log volumes by those of more masks [N, 1, *S] (Chan 1979).

        Sums of squares would need float64, which MPS does not have.
        """
        logs = masks.flatten(1).sum(1).log1p()
        seen, mean, variance = self.volumes
        share, off = len(logs) / (seen + len(logs)), logs.mean() - mean
        variance = variance + share * (logs.var(correction=0) - variance) + share * (1.0 - share) * off**2
        self.volumes.copy_(torch.stack([seen + len(logs), mean + share * off, variance]))

    def _scale(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training masks' log(1 + voxels)."""
        _, mean, variance = self.volumes
        # The standard deviation has a lower limit, since requested volumes are given in units of it.
        return mean, variance.clamp(min=0.01).sqrt()

    def critic_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Losses of the critic."""
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
        """Adversarial loss of the generator; non-saturating for Jensen-Shannon."""
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


@torch.no_grad()
def threshold(logits: Tensor, voxels: Tensor) -> Tensor:
    """The value above which so many voxels of each row lie, midway between two of them; [N, 1, ...], float32.

    It is found by bisection, a fixed number of plain operations, since not every export format can sort volumes.

    Args:
        logits: [N, 1, *S].
        voxels: how many, [N]; rounded, at least one.
    """
    flat = logits.float().flatten(1)
    ends = []
    for wanted in (voxels.round().clamp(min=1.0), voxels.round().clamp(min=1.0) + 1.0):
        low, high = flat.amin(1), flat.amax(1)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            many = (flat > middle[:, None]).float().sum(1) >= wanted
            low, high = torch.where(many, middle, low), torch.where(many, high, middle)
        ends.append(low)
    return ((ends[0] + ends[1]) / 2.0).reshape(-1, *(1,) * (logits.ndim - 1))


def cut(soft: Tensor) -> Tensor:
    """Round soft masks in [-1, 1] to -1 or 1; the gradient passes unchanged (straight-through: Bengio 2013).

    Otherwise the critic penalises soft values, and the easiest mask without soft values is an empty one.
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
    """Strided convolutions over the whole mask.

    With the usual N(0, 0.02) weights and no normalisation, each layer reduces the signal to a third: before training,
    the logits of 64 masks with one small lesion each differed by 0.0002, and the critic of LSGAN stayed at chance. For
    Wasserstein the gradient penalty corrects this. The other losses use He's initialisation (2015), which preserves the
    signal, and a last layer of zeros, so that the first critic does not mislead the generator.
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
