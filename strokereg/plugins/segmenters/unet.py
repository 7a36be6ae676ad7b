"""`unet`: a plain U-Net, the default segmenter of a study.

O. Ronneberger, P. Fischer, T. Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation (2015),
as used for stroke lesions by Platscher, Zopes, Federau (arXiv 2010.02745).
Departures: padded convolutions, instance norm instead of none, leaky ReLU, strided convolutions instead of
max-pooling, and Dice + cross-entropy, which small lesions need, instead of a weighted cross-entropy
(the last four as in nnU-Net: Isensee 2021).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from strokereg.core.roles import Batch, Move, Player, require_multiple
from strokereg.plugins.blocks.layers import CONV, INSTANCE_NORM, UP_CONV
from strokereg.plugins.blocks.segmentation import expect_rare, segmenter_player, soft_dice
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem


class UNet(nn.Module):
    """Image [N, C, *S] in [-1, 1] → lesion logits [N, 1, *S]; every edge is a multiple of 2^(levels - 1)."""

    class Options(Options):
        """Args:
        widths: filters of each level, finest first.
        lr, weight_decay: of AdamW with a one-cycle schedule.
        clip: largest gradient norm.
        dice: weight of the soft Dice loss; cross-entropy has weight 1.
        """

        widths: tuple[int, ...] = Field(default=(16, 32, 64, 128, 192), min_length=2)
        lr: float = Field(default=3e-3, gt=0)
        weight_decay: float = Field(default=1e-4, ge=0)
        clip: float = Field(default=1.0, gt=0)
        dice: float = Field(default=1.0, ge=0)

    def __init__(self, problem: Problem, options: Options):
        super().__init__()
        self.options = options
        widths = options.widths
        self.multiple = 2 ** (len(widths) - 1)
        self.down = nn.ModuleList()
        before = problem.channels
        for depth, width in enumerate(widths):
            self.down.append(double(problem.dims, before, width, stride=1 if depth == 0 else 2))
            before = width
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for fine, coarse in zip(widths[-2::-1], widths[:0:-1], strict=True):
            self.up.append(UP_CONV[problem.dims](coarse, fine, 2, 2))
            self.merge.append(double(problem.dims, 2 * fine, fine))
        self.head = CONV[problem.dims](widths[0], 1, 1)
        expect_rare(self.head)

    def forward(self, image: Tensor) -> Tensor:
        require_multiple(image.shape[2:], self.multiple, "unet")
        x, skips = image, []
        for block in self.down:
            x = block(x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], 1))
        return self.head(x)

    def players(self) -> dict[str, Player]:
        return segmenter_player(self, self.options)

    def moves(self, batch: Batch) -> Iterator[Move]:
        logits = self(batch.image).float()
        losses = {"cross_entropy": F.binary_cross_entropy_with_logits(logits, batch.mask)}
        if self.options.dice:
            losses["dice_loss"] = self.options.dice * soft_dice(logits, batch.mask)
        yield "segmenter", losses


def double(dims: int, before: int, width: int, stride: int = 1) -> nn.Sequential:
    """Two times convolution, instance norm and leaky ReLU; the first convolution has the stride."""
    layers: list[nn.Module] = []
    for channels, step in ((before, stride), (width, 1)):
        layers += [
            CONV[dims](channels, width, 3, step, 1, bias=False),
            INSTANCE_NORM[dims](width, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return nn.Sequential(*layers)
