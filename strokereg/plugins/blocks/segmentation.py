"""What all segmenters share: their player, the initial bias of their logits, and the soft Dice loss."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from strokereg.core.roles import Player

_RARE = -4.6  # logit of 1 %


class SegmenterOptions(Protocol):
    """Options of AdamW with a one-cycle schedule and clipped gradients."""

    lr: float
    weight_decay: float
    clip: float


def segmenter_player(network: nn.Module, options: SegmenterOptions, average: bool = True) -> dict[str, Player]:
    """The player of a segmenter; see `core.roles.Player` for `average`."""
    betas = (0.9, 0.999)
    parameters = list(network.parameters())
    return {
        "segmenter": Player(
            parameters, options.lr, betas, options.weight_decay, "adamw", "onecycle", options.clip, average
        )
    }


def expect_rare(*heads: nn.Module) -> None:
    """Set the bias of heads to a probability of 1 %, because lesion voxels are rare."""
    for head in heads:
        nn.init.constant_(head.bias, _RARE)  # type: ignore[arg-type]


def soft_dice(logits: Tensor, mask: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - soft Dice over the whole batch, so slices without a lesion count too (Milletari 2016)."""
    probability = logits.sigmoid()
    overlap = (probability * mask).sum()
    return 1.0 - (2.0 * overlap + smooth) / (probability.sum() + mask.sum() + smooth)
