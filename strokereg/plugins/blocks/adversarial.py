"""Conditional GAN training with a least-squares and an L1 loss, as `pix2pix` and `spade` share it.

After Platscher, Zopes, Federau (arXiv 2010.02745).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from strokereg.core.roles import Batch, Move, Player
from strokereg.plugins.blocks.layers import PatchDiscriminator, least_squares, normal_weights, one_hot
from strokereg.registry.problem import Problem


class AdversarialOptions(Protocol):
    """Options that are used here: learning rate and beta1 of Adam, and the weights of the losses."""

    lr: float
    beta1: float
    adversarial: float
    l1: float
    discriminator: float


class ConditionalCritic(nn.Module):
    """Patch discriminator of an image together with its labels, with the filters of arXiv 2010.02745."""

    def __init__(self, problem: Problem, ndf: int):
        super().__init__()
        self.labels = problem.labels
        filters = (ndf, 2 * ndf, 4 * ndf, 8 * ndf, 8 * ndf)
        self.patches = PatchDiscriminator(problem.dims, problem.channels + problem.labels, filters, strided=3)
        normal_weights(self)

    def forward(self, image: Tensor, labels: Tensor) -> Tensor:
        """Image [N, C, *S], labels int64 [N, *S] → patch logits [N, 1, *S']."""
        return self.patches(torch.cat([image, one_hot(labels, self.labels).to(image.dtype)], 1))


def gan_players(critic: nn.Module, generator: nn.Module, options: AdversarialOptions) -> dict[str, Player]:
    """The players discriminator and generator; their learning rates fall to zero over the second half."""

    def player(network: nn.Module, average: bool) -> Player:
        betas = (options.beta1, 0.999)
        return Player(list(network.parameters()), options.lr, betas, schedule="linear", average=average)

    return {"discriminator": player(critic, average=False), "generator": player(generator, average=True)}


def lsgan_and_l1(
    options: AdversarialOptions,
    discriminate: Callable[[Tensor, Tensor], Tensor],
    batch: Batch,
    fake: Tensor,
    shown: tuple[Tensor, Tensor],
) -> Iterator[Move]:
    """The two moves of a step.

    Args:
        discriminate: (image, labels) → logits of the discriminator.
        fake: image generated from `batch.labels`, with its graph.
        shown: (image, labels) that the discriminator sees as a fake, without a graph.
    """
    gan = least_squares(discriminate(batch.image, batch.labels), 1.0) + least_squares(discriminate(*shown), 0.0)
    yield "discriminator", {"gan": options.discriminator * gan}
    gan = least_squares(discriminate(fake, batch.labels), 1.0)
    yield "generator", {"gan": options.adversarial * gan, "l1": options.l1 * F.l1_loss(fake.float(), batch.image)}
