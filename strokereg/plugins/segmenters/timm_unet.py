"""`timm-unet`: a U-Net decoder on any timm encoder, for slices.

O. Ronneberger, P. Fischer, T. Brox: U-Net (2015), with a classification network as encoder, first done by V. Iglovikov,
A. Shvets: TernausNet (arXiv 1801.05746); encoders from R. Wightman's timm (Apache-2.0). Departures: nearest-neighbour
upsampling to the size of the skip, so any image size works; the image itself is the finest skip; instance norm in the
decoder; stages with maps less than 2 voxels wide are left out; images stay in [-1, 1], with or without pretrained
weights.

Most encoders have batch norm. Its running statistics belong to the last weights and not to their moving average, so a
network with such an encoder delivers its last weights; the one-cycle schedule has reduced the learning rate to almost
zero by then. Use batches of 8 slices or more, because running statistics of smaller batches are inaccurate.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from strokereg.core.roles import Batch, Move, Player
from strokereg.plugins.blocks.segmentation import expect_rare, segmenter_player, soft_dice
from strokereg.plugins.blocks.timm_encoder import build_encoder
from strokereg.plugins.segmenters.unet import double
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem


class TimmUNet(nn.Module):
    """Image [N, C, Y, X] in [-1, 1] → lesion logits [N, 1, Y, X]; any size that the encoder takes."""

    class Options(Options):
        """Args:
        encoder: name of a timm model with feature maps at several scales.
        pretrained: start from timm's weights, which are downloaded unless they are in the cache.
        filters: filters of the decoder at full resolution, doubled with each level up to 256.
        lr, weight_decay: of AdamW with a one-cycle schedule.
        clip: largest gradient norm.
        """

        encoder: str = "resnet18"
        pretrained: bool = False
        filters: int = Field(default=16, ge=1)
        lr: float = Field(default=1e-3, gt=0)
        weight_decay: float = Field(default=1e-4, ge=0)
        clip: float = Field(default=1.0, gt=0)

    def __init__(self, problem: Problem, options: Options):
        super().__init__()
        self.options = options
        self.encoder = build_encoder(options.encoder, options.pretrained, problem)
        skips = [problem.channels, *self.encoder.feature_info.channels()]
        self.channels = skips[1:]
        widths = [min(options.filters * 2**level, 256) for level in range(len(skips) - 1)]
        below = [*widths[1:], skips[-1]]
        self.merge = nn.ModuleList(
            double(2, deeper + skip, width) for deeper, skip, width in zip(below, skips[:-1], widths, strict=True)
        )
        self.head = nn.Conv2d(widths[0], 1, 1)
        expect_rare(self.head)

    def forward(self, image: Tensor) -> Tensor:
        features = self.encoder(image)
        # Some transformers return channels last.
        features = [f if f.shape[1] == n else f.movedim(-1, 1) for f, n in zip(features, self.channels, strict=True)]
        *skips, x = [image, *features]
        for merge, skip in zip(reversed(self.merge), reversed(skips), strict=True):
            x = merge(torch.cat([F.interpolate(x, size=skip.shape[2:]), skip], 1))
        return self.head(x)

    def players(self) -> dict[str, Player]:
        average = not any(isinstance(part, _BatchNorm) for part in self.encoder.modules())
        return segmenter_player(self, self.options, average)

    def moves(self, batch: Batch) -> Iterator[Move]:
        logits = self(batch.image).float()
        cross_entropy = F.binary_cross_entropy_with_logits(logits, batch.mask)
        yield "segmenter", {"cross_entropy": cross_entropy, "dice_loss": soft_dice(logits, batch.mask)}
