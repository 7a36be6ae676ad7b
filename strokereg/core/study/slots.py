"""Places for the processes of a study: which GPU each may use, and how many run at a time.

Every GPU takes several trainings where its memory allows: one for each 10 GB, and at most four. One that runs out of
memory all the same is tried once more, alone. Tasks without a network, such as those of mixers, run beside them on the
cores of the machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import torch

from strokereg.core.storage.workers import count_cores
from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import Task, TaskKind

_MEMORY = 10 * 10**9  # bytes of a GPU for each training in it
_MOST = 4  # trainings in a GPU


@dataclass(frozen=True)
class Slots:
    """Places for processes.

    Attributes:
        workers: processes at a time.
        gpus: the GPU of each place for a task with a network, which may be named several times; empty where tasks with
            a network take any place.
    """

    workers: int
    gpus: tuple[str, ...] = ()

    def place(self, busy: Sequence[str], with_network: bool) -> str | None:
        """Where the next task can run.

        Args:
            busy: the GPUs of the running processes, "" for a process without one.
            with_network: whether the task computes on the device.

        Returns:
            A GPU, "" for a process without one, or None where the task must wait.
        """
        if len(busy) >= self.workers:
            return None
        if not self.gpus:
            return ""
        if not with_network:  # leaves the GPUs to others
            return "" if busy.count("") < max(1, self.workers - len(self.gpus)) else None
        free = list(self.gpus)
        for gpu in filter(None, busy):
            free.remove(gpu)
        return max(free, key=free.count) if free else None  # on the GPU with the most free places

    @property
    def trainings(self) -> int:
        """How many trainings can run at a time."""
        return len(self.gpus) or self.workers


def needs_device(context: StudyContext, task: Task) -> bool:
    """Whether a task runs a network; a mixer's does not."""
    return task.kind is not TaskKind.DATABASE or not context.mixes(task.architecture)


def default_slots(device: torch.device, workers: int | None = None) -> Slots:
    """Places on this machine.

    Args:
        device: a CUDA device without an index stands for all GPUs that are visible.
        workers: processes at a time; by default one for each core of a CPU, and on GPUs also one for each training
            that fits.
    """
    cores = count_cores()
    if device.type != "cuda":
        return Slots(workers or (cores if device.type == "cpu" else 1))
    chosen = range(torch.cuda.device_count()) if device.index is None else [device.index]
    fitting = [max(1, min(_MOST, torch.cuda.get_device_properties(n).total_memory // _MEMORY)) for n in chosen]
    visible = visible_gpus()
    names = [visible[n] for n in chosen]
    if workers:
        return Slots(workers, tuple(islice(cycle(names), workers)))
    gpus = tuple(name for turn in range(_MOST) for name, most in zip(names, fitting, strict=True) if turn < most)
    return Slots(len(gpus) + cores, gpus)


def visible_gpus() -> list[str]:
    """The visible GPUs as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [n.strip() for n in named.split(",")] if named else [str(n) for n in range(torch.cuda.device_count())]
