"""`cyclegan`: label maps and images of different cases, each translated into the other and back.

J.-Y. Zhu, T. Park, P. Isola, A. Efros: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks
(2017): residual generators with nine blocks, patch discriminators 64-128-256-512, LSGAN, cycle weight 10, history
pools of 50, Adam 2e-4 with beta1 0.5. One direction paints label maps, the other reads images; a label map and an image
of one case never meet.
Departures: labels are classes and no intensities, so their cycle is evaluated by cross-entropy, which asks for each
voxel's class where L1 on one-hot maps is content with the average of several. The map that was read from an image goes
on as the most probable label a voxel, with the gradient of the probabilities (straight-through: Bengio 2013): the
discriminator could tell soft maps from real ones at a glance, and the painter must learn on what it will be given.
Generators depart as `resnet_generator` says. An image cannot be put in the place of a label map, so there is no
identity loss. In its place (`bright`) stands what is known of the first contrast without any pair: lesions are as
bright as the brightest voxels of the images, counted as many as the lesions have. Both cycles also close when two
labels swap their intensities, and only the discriminators object, too late for a short training: without this loss,
lesions came out darker than brain. Set `bright=0` for a first contrast in which lesions are not bright. Budgets of the
paper's kind, tens of thousands of steps, were not tried.
"""

from __future__ import annotations

from collections.abc import Iterator

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
    """Labels int64 [N, *S] → image [N, C, *S] in [-1, 1]; every edge a multiple of 4."""

    class Options(Options):
        """Args:
        ngf, ndf: filters of the outer layers of generators and discriminators.
        blocks: residual blocks of each generator.
        lr, beta1: of Adam, for both players; halfway the rate starts to fall to zero.
        cycle: weight of the image's cycle loss, L1.
        label_cycle: weight of the labels' cycle loss, a cross-entropy.
        bright: weight of what takes the identity loss's place: the lesion is as bright as the brightest of the images.
        discriminator: weight of the discriminators' losses.
        pool: fakes of each kind kept for the discriminators.
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
        self.painter = ResNetGenerator(problem, labels, channels, o.ngf, o.blocks)
        self.reader = ResNetGenerator(problem, channels, labels, o.ngf, o.blocks)
        self.multiple = self.painter.multiple
        filters = (d, 2 * d, 4 * d, 8 * d)
        self.image_critic = PatchDiscriminator(problem.dims, channels, filters)
        self.label_critic = PatchDiscriminator(problem.dims, labels, filters)
        self.images = HistoryPool(o.pool, channels, *problem.size)
        self.maps = HistoryPool(o.pool, labels, *problem.size)
        normal_weights(self)

    def forward(self, labels: Tensor) -> Tensor:
        require_multiple(labels.shape[1:], self.multiple, "cyclegan")
        return self.paint(one_hot(labels, self.labels))

    def paint(self, maps: Tensor) -> Tensor:
        """One-hot labels [N, L, *S] → image [N, C, *S] in [-1, 1]."""
        return self.painter(maps).tanh()

    def players(self) -> dict[str, Player]:
        def player(*networks: nn.Module, average: bool) -> Player:
            parameters = [p for network in networks for p in network.parameters()]
            betas = (self.options.beta1, 0.999)
            return Player(parameters, self.options.lr, betas, schedule="linear", average=average)

        return {
            "discriminators": player(self.image_critic, self.label_critic, average=False),
            "generators": player(self.painter, self.reader, average=True),
        }

    def moves(self, batch: Batch) -> Iterator[Move]:
        o, image, maps = self.options, batch.image, one_hot(batch.labels, self.labels)
        fake_image = self.paint(maps)
        fake_maps = hardened(self.reader(image))
        shown_image, shown_maps = self.images.swap(fake_image.float()), self.maps.swap(fake_maps)
        yield (
            "discriminators",
            {
                "gan_image": o.discriminator * _game(self.image_critic, image, shown_image),
                "gan_labels": o.discriminator * _game(self.label_critic, maps, shown_maps),
            },
        )
        losses = {
            "gan_image": least_squares(self.image_critic(fake_image), 1.0),
            "gan_labels": least_squares(self.label_critic(fake_maps), 1.0),
            "cycle_image": o.cycle * F.l1_loss(self.paint(fake_maps).float(), image),
            "cycle_labels": o.label_cycle * F.cross_entropy(self.reader(fake_image).float(), batch.labels),
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
    """Distance of the mean signal in painted lesions from that of as many voxels, the brightest, of real images.

    Args:
        fake, image: [N, *S] in [-1, 1], of different cases.
        lesion: bool [N, *S], where `fake` was painted with a lesion; without any the distance is 0.
    """
    count = int(lesion.sum())
    if not count:
        return fake.sum() * 0.0
    return (fake[lesion].mean() - image.flatten().topk(count).values.mean()).abs()


def _game(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return least_squares(critic(real), 1.0) + least_squares(critic(fake.detach()), 0.0)
