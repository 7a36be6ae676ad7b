"""What all segmenters share: one player, where its logits start, and the loss that small lesions need."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from strokereg.core.roles import Player

_RARE = -4.6  # logit of 1 %


class Recipe(Protocol):
    """Options of AdamW with a one-cycle schedule and clipped gradients."""

    lr: float
    weight_decay: float
    clip: float


def learner(network: nn.Module, recipe: Recipe, average: bool = True) -> dict[str, Player]:
    """The one player of a segmenter; `average` as in `core.roles.Player`."""
    betas = (0.9, 0.999)
    parameters = list(network.parameters())
    return {
        "segmenter": Player(
            parameters, recipe.lr, betas, recipe.weight_decay, "adamw", "onecycle", recipe.clip, average
        )
    }


def expect_rare(*heads: nn.Module) -> None:
    """Let heads start at 1 %: lesion voxels are rare, and this spares the first steps of unlearning one half."""
    for head in heads:
        nn.init.constant_(head.bias, _RARE)  # type: ignore[arg-type]


def soft_dice(logits: Tensor, mask: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - soft Dice over the whole batch, so that a slice without lesion still counts (Milletari 2016)."""
    probability = logits.sigmoid()
    overlap = (probability * mask).sum()
    return 1.0 - (2.0 * overlap + smooth) / (probability.sum() + mask.sum() + smooth)
