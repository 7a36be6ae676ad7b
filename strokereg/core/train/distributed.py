"""Several processes that train one network together, as `torchrun` starts them.

Each takes its part of every batch; the trainer averages the moving player's gradients, so no architecture need know.
The batch size is that of all processes together. Losses that are means over samples give what one process gives, up to
rounding; one that looks at the batch as a whole, as a batch's Dice does, is that of each part.
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

_PATIENCE = timedelta(hours=2)  # evaluation may take the leader long


@dataclass(frozen=True)
class ProcessGroup:
    """This process among its like; alone by default."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes."""
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
        """Make these parameters' gradients the mean over all processes; one that has none counts as zero."""
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
        """The mean of a number over all processes, so that all see the same, NaN too."""
        if self.size == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64)
        if dist.get_backend() == "nccl":
            told = told.float().cuda()
        dist.all_reduce(told)
        return float(told) / self.size

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


def join_process_group() -> ProcessGroup:
    """The group that `torchrun` has set up, or this process alone.

    Raises:
        InputError: processes that cannot find each other.
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
            raise InputError(f"torchrun: its processes do not find each other ({error}); check its endpoint") from error
    return ProcessGroup(dist.get_rank(), dist.get_world_size())
