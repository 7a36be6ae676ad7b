"""Distributed training: several processes, started by `torchrun`, train one network together.

Each process draws its own part of every batch, and the trainer averages the gradients of the moving player.
Architectures need no change. The batch size is the total over all processes. Losses that are means over samples equal
those of a single process up to rounding; a loss over the whole batch, such as a batch Dice, is computed on each part.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

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

    def part(self, count: int) -> slice:
        """Which samples of a batch this process draws.

        Args:
            count: samples in the batch of all processes.

        Raises:
            InputError: the processes cannot share the batch evenly.
        """
        if count % self.size:
            raise InputError(
                f"--batch-size {count}: {self.size} processes cannot share it evenly; give a multiple of {self.size}"
            )
        return slice(self.rank, None, self.size)

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

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of each number over all processes, the same in each; NaN in one gives NaN in all."""
        if self.size == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total / self.size

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()


def join_process_group(device: str = "auto") -> ProcessGroup:
    """The group of processes that `torchrun` started, or this process alone.

    Args:
        device: name of the device that is trained on, as in `core.train.device.choose_device`. Processes that train on
            CUDA GPUs take one each and talk through NCCL, others through gloo.

    Raises:
        InputError: the processes cannot reach each other, or there are more of them than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        return ProcessGroup()
    if not dist.is_initialized():
        on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
        if on_gpu:
            torch.cuda.set_device(_own_gpu(device))
        try:
            dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"torchrun: its processes cannot reach each other ({error}); check its endpoint"
            ) from error
    return ProcessGroup(dist.get_rank(), dist.get_world_size())


def _own_gpu(device: str) -> int:
    own, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if ":" in device:
        raise InputError(f"--device {device}: torchrun gives each process a GPU of its own; give --device cuda")
    if own >= there:
        raise InputError(
            f"torchrun: {os.environ.get('LOCAL_WORLD_SIZE', 'more')} processes, but {there} CUDA GPUs on this machine; "
            f"give --nproc-per-node={there}, or --device cpu"
        )
    return own
