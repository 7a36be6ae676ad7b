"""The sizes that an exported network must take. Arrays are [Z,] Y, X; preparations X, Y, Z."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from strokereg.core.train.record import Record

Size = tuple[int, ...]


@dataclass(frozen=True)
class Sizes:
    """Spatial sizes, [Z,] Y, X.

    Attributes:
        steps: each edge is a multiple of its step.
        smallest: the smallest size that a scan can get.
    """

    steps: Size
    smallest: Size

    @property
    def example(self) -> Size:
        """A size for tracing: no edge at its smallest, no two the same."""
        return self._grown(range(2, 2 + len(self.steps)))

    @property
    def edges(self) -> list[tuple[int, Size]]:
        """Batch and size at the edges: the smallest grid alone, and non-square ones in other batches."""
        dims = len(self.steps)
        return [(1, self.smallest), (3, self._grown(range(dims))), (2, self._grown(range(dims, 0, -1)))]

    def _grown(self, counts: Iterable[int]) -> Size:
        triples = zip(self.smallest, counts, self.steps, strict=True)
        return tuple(least + count * step for least, count, step in triples)


def sizes_of(record: Record, own: int = 1) -> Sizes:
    """The sizes of a run.

    Args:
        record: its preparation sets the grids of scans.
        own: multiple that the network itself needs.

    The smallest has two steps at least: at one, the coarsest level of a U-Net is a single voxel, which instance
    norm refuses.
    """
    dims = record.problem.dims
    steps = tuple(math.lcm(step, own) for step in record.preparation.multiple[::-1][-dims:])
    least = record.preparation.size[::-1][-dims:]
    pairs = zip(least, steps, strict=True)
    return Sizes(steps, tuple(max(-(-size // step), 2 if step > 1 else 1) * step for size, step in pairs))
