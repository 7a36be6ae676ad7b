"""Batches drawn ahead, in threads, while the network works on the one before.

A batch is a function of seed and step alone, so which thread draws it, and when, changes nothing in it. Threads and not
processes: drawing is NumPy and torch, which let go of the interpreter, and a thread has no batch to send.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import torch

from strokereg.core.roles import Batch


class Prefetcher:
    """Gives what `draw` gives, sooner.

    Args:
        draw: `(step) -> Batch` on the CPU, a function of the step alone; `Sampler.batch` is one.
        workers: threads; 0 draws when asked.
    """

    def __init__(self, draw: Callable[[int], Batch], workers: int = 1):
        self.draw, self.workers = draw, workers
        self._pool = ThreadPoolExecutor(workers, "batches") if workers else None
        self._coming: dict[int, Future[Batch]] = {}

    def batch(self, step: int, device: str | torch.device = "cpu", progress: float = 0.0) -> Batch:
        """The batch of a step, on the device."""
        if self._pool is None:
            batch = self.draw(step)
        else:
            wanted = range(step, step + self.workers + 1)
            # After a jump, as on resuming, what was drawn for elsewhere is let go.
            self._coming = {s: self._coming.get(s) or self._pool.submit(self.draw, s) for s in wanted}
            batch = self._coming[step].result()
        moved = {name: getattr(batch, name).to(device) for name in ("labels", "image", "mask")}
        return replace(batch, **moved, progress=progress)

    def close(self) -> None:
        """Stop the threads; what they have begun, they end."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._coming.clear()
