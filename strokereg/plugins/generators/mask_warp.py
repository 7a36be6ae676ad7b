"""`mask-warp`: real masks of the training cases, flipped, moved and elastically warped. Untrained.

The simplest way to new lesions, and a baseline for trained generators. It stores the masks of some training batches,
which the sampler has cut to the size of the network and moved a little. See `mask_bank` for the source of the warp.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from strokereg.core.roles import Batch, Move, Player
from strokereg.plugins.blocks.mask_bank import MaskBank, WarpOptions
from strokereg.registry.problem import Problem


class MaskWarp(MaskBank):
    """Noise z [N, Z] → lesion mask logits [N, 1, *S] of the size it was built for."""

    class Options(WarpOptions):
        """Args:
        looks: number of training batches to take masks from; masks beyond `bank` are dropped.
        """

        looks: int = Field(default=32, ge=1)

    options: Options

    def __init__(self, problem: Problem, options: Options):
        super().__init__(problem, options)
        self.looks = options.looks

    def players(self) -> dict[str, Player]:
        return {}

    def moves(self, batch: Batch) -> Iterator[Move]:
        self.keep(batch.mask)
        yield from ()
