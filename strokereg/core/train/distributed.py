"""Distributed training: several processes, started by `torchrun`, train one network together.

Each process takes its part of every batch, and the trainer averages the gradients of the moving player. Architectures
need no change. The batch size is the total over all processes. Losses that are means over samples equal those of a
single process up to rounding; a loss over the whole batch, such as a batch Dice, is computed on each part.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

import torch
import torch.distributed as dist

from strokereg.core.roles import Batch
from strokereg.registry.errors import InputError

_PATIENCE = timedelta(hours=2)  # the main process may take long to evaluate


@dataclass(frozen=True)
class ProcessGroup:
    """Rank of this process and number of processes; a single process by default."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def part(self, batch: Batch) -> Batch:
        """This process's samples of a batch."""
        if self.size == 1:
            return batch
        if len(batch.image) % self.size:
            raise InputError(
                f"--batch-size {len(batch.image)}: {self.size} processes cannot share it evenly; "
                f"give a multiple of {self.size}"
            )
        own = slice(self.rank, None, self.size)
        return replace(batch, labels=batch.labels[own], image=batch.image[own], mask=batch.mask[own])

    def average(self, parameters: Iterable[torch.Tensor]) -> None:
        """Replace the gradients of these parameters by their mean over all processes; a missing one counts as zero."""
        if self.size == 1:
            return
        known = list(parameters)
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in known]
        together = torch.cat([grad.flatten().float() for grad in grads])
        dist.all_reduce(together)
        together /= self.size
        for parameter, grad, mean in zip(known, grads, together.split([g.numel() for g in grads]), strict=True):
            parameter.grad = mean.view_as(grad).to(grad.dtype)

    def agree(self, value: float) -> float:
        """The mean of a number over all processes, the same in each; NaN in one gives NaN in all."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        if dist.get_backend() == "nccl":
            total = total.float().cuda()
        dist.all_reduce(total)
        return float(total) / self.size

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()


def join_process_group() -> ProcessGroup:
    """The group of processes that `torchrun` started, or this process alone.

    Raises:
        InputError: the processes cannot reach each other.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        return ProcessGroup()
    if not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        try:
            dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"torchrun: its processes cannot reach each other ({error}); check its endpoint"
            ) from error
    return ProcessGroup(dist.get_rank(), dist.get_world_size())
