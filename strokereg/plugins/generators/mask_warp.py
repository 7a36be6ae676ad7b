"""`mask-warp`: real masks of the training cases, flipped, moved and elastically warped. Untrained.

The plainest way to new lesions, and the mark that a trained generator has to pass: it knows the training masks by
heart. Source of the warp: see `mask_bank`. It looks at a number of training batches and keeps their masks, which the
sampler has cut to the network's size and moved a little.
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
        looks: training batches to look at; masks beyond `bank` are let go.
        """

        looks: int = Field(default=32, ge=1)

    options: Options

    def __init__(self, problem: Problem, options: Options):
        super().__init__(problem, options)
        self.looks = options.looks

    def players(self) -> dict[str, Player]:
        return {}

    def moves(self, batch: Batch) -> Iterator[Move]:
        self.cached(batch.mask)
        yield from ()
