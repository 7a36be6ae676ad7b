"""`cyclegan`: translates label maps to images and back, trained on label maps and images of different cases.

J.-Y. Zhu, T. Park, P. Isola, A. Efros: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks
(2017): residual generators with nine blocks, patch discriminators 64-128-256-512, LSGAN, cycle weight 10, history
pools of 50, Adam 2e-4 with beta1 0.5. A label map and an image of the same case are never used together.
Departures:
- The cycle loss of labels is a cross-entropy, because labels are classes. L1 on one-hot maps would accept an average of
  several classes.
- A label map that is predicted from an image is rounded to the most probable label of each voxel, with the gradient of
  the probabilities (straight-through: Bengio 2013). Otherwise the discriminator could tell soft maps from real ones
  easily, and the image generator would be trained on inputs that it never gets later.
- Generators differ as described in `resnet_generator`.
- There is no identity loss, since an image cannot replace a label map. Instead, the loss `bright` uses what is known of
  the first contrast without pairs: lesions are as bright as the same number of the brightest voxels of real images. The
  cycle losses do not notice if two labels swap their intensities, and the discriminators do so too late in a short
  training: without this loss, lesions were darker than brain. Set `bright=0` if lesions are not bright in the first
  contrast.
Trainings of tens of thousands of steps, as in the paper, were not tried.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from strokereg.core.roles import Batch, Move, Player, require_multiple
from strokereg.plugins.blocks.layers import (
    HistoryPool,
    PatchDiscriminator,
    least_squares,
    normal_weights,
    one_hot,
)
from strokereg.plugins.blocks.resnet_generator import ResNetGenerator
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem


class CycleGan(nn.Module):
    """Labels int64 [N, *S] → image [N, C, *S] in [-1, 1]; every edge is a multiple of 4."""

    class Options(Options):
        """Args:
        ngf, ndf: filters of the outer layers of generators and discriminators.
        blocks: residual blocks of each generator.
        lr, beta1: of Adam, for both players; the rate falls to zero over the second half.
        cycle: weight of the cycle loss of images, L1.
        label_cycle: weight of the cycle loss of labels, a cross-entropy.
        bright: weight of the loss that makes lesions as bright as the brightest voxels of real images.
        discriminator: weight of the losses of the discriminators.
        pool: number of fakes of each kind kept for the discriminators.
        """

        ngf: int = Field(default=64, ge=1)
        ndf: int = Field(default=64, ge=1)
        blocks: int = Field(default=9, ge=1)
        lr: float = Field(default=2e-4, gt=0)
        beta1: float = Field(default=0.5, ge=0, lt=1)
        cycle: float = Field(default=10.0, ge=0)
        label_cycle: float = Field(default=10.0, ge=0)
        bright: float = Field(default=1.0, ge=0)
        discriminator: float = Field(default=0.5, gt=0)
        pool: int = Field(default=50, ge=0)

    def __init__(self, problem: Problem, options: Options):
        super().__init__()
        self.options, self.labels = options, problem.labels
        o, labels, channels, d = options, problem.labels, problem.channels, options.ndf
        self.to_image = ResNetGenerator(problem, labels, channels, o.ngf, o.blocks)
        self.to_labels = ResNetGenerator(problem, channels, labels, o.ngf, o.blocks)
        self.multiple = self.to_image.multiple
        filters = (d, 2 * d, 4 * d, 8 * d)
        self.image_critic = PatchDiscriminator(problem.dims, channels, filters)
        self.label_critic = PatchDiscriminator(problem.dims, labels, filters)
        self.images = HistoryPool(o.pool, channels, *problem.size)
        self.maps = HistoryPool(o.pool, labels, *problem.size)
        normal_weights(self)

    def forward(self, labels: Tensor) -> Tensor:
        require_multiple(labels.shape[1:], self.multiple, "cyclegan")
        return self.translate(one_hot(labels, self.labels))

    def translate(self, maps: Tensor) -> Tensor:
        """One-hot labels [N, L, *S] → image [N, C, *S] in [-1, 1]."""
        return self.to_image(maps).tanh()

    def players(self) -> dict[str, Player]:
        def player(*networks: nn.Module, average: bool) -> Player:
            parameters = [p for network in networks for p in network.parameters()]
            betas = (self.options.beta1, 0.999)
            return Player(parameters, self.options.lr, betas, schedule="linear", average=average)

        return {
            "discriminators": player(self.image_critic, self.label_critic, average=False),
            "generators": player(self.to_image, self.to_labels, average=True),
        }

    def moves(self, batch: Batch) -> Iterator[Move]:
        o, image, maps = self.options, batch.image, one_hot(batch.labels, self.labels)
        fake_image = self.translate(maps)
        fake_maps = hardened(self.to_labels(image))
        shown_image, shown_maps = self.images.swap(fake_image.float()), self.maps.swap(fake_maps)
        yield (
            "discriminators",
            {
                "gan_image": o.discriminator * _critic_loss(self.image_critic, image, shown_image),
                "gan_labels": o.discriminator * _critic_loss(self.label_critic, maps, shown_maps),
            },
        )
        losses = {
            "gan_image": least_squares(self.image_critic(fake_image), 1.0),
            "gan_labels": least_squares(self.label_critic(fake_maps), 1.0),
            "cycle_image": o.cycle * F.l1_loss(self.translate(fake_maps).float(), image),
            "cycle_labels": o.label_cycle * F.cross_entropy(self.to_labels(fake_image).float(), batch.labels),
        }
        if o.bright:
            lesion = batch.labels == self.labels - 1
            losses["bright"] = o.bright * too_dark(fake_image[:, 0].float(), lesion, image[:, 0])
        yield "generators", losses


def hardened(logits: Tensor) -> Tensor:
    """Label logits [N, L, *S] → one-hot map of the most probable labels, with the gradient of the probabilities."""
    soft = logits.float().softmax(1)
    hard = one_hot(soft.argmax(1), soft.shape[1])
    return hard + (soft - soft.detach())  # the bracket is exactly zero


def too_dark(fake: Tensor, lesion: Tensor, image: Tensor) -> Tensor:
    """Difference between the mean signal of synthetic lesions and that of as many of the brightest real voxels.

    Args:
        fake, image: [N, *S] in [-1, 1], of different cases.
        lesion: bool [N, *S], the lesions of `fake`; without any the difference is 0.
    """
    # Means over a number of voxels that stays on the device; counting it here would wait for a GPU.
    count = lesion.sum()
    brightest = image.flatten().sort(descending=True).values
    wanted = torch.where(torch.arange(len(brightest), device=image.device) < count, brightest, 0.0).sum()
    return (torch.where(lesion, fake, 0.0).sum() - wanted).abs() / count.clamp(min=1)


def _critic_loss(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return least_squares(critic(real), 1.0) + least_squares(critic(fake.detach()), 0.0)
