"""Work without any training, done or failed as a task's name says; importable by worker processes."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace
from typing import ClassVar

import torch

from strokereg.core.study.plan import TaskKind
from strokereg.registry.errors import InputError


class Context:
    """What the processes need of a study's context."""

    def __init__(self, store):
        self.store, self.settings = store, Settings()


class Settings:
    device = "cpu"
    budgets: ClassVar = {TaskKind.SEGMENTER: SimpleNamespace(batch_size=8)}


def is_done(context, task):
    folder = context.store
    return (folder / f"{task.key}.done").exists()


def begun(folder, key):
    """One empty file an attempt: made at once or not at all, so a worker killed just then leaves no half count."""
    return sorted(folder.glob(f"{key}.begun-*"))


def work(context, task, needs, report):
    folder = context.store
    attempt = len(begun(folder, task.key)) + 1
    (folder / f"{task.key}.begun-{attempt}").touch(exist_ok=False)
    report(1, task.steps, {"loss": 0.5})
    match task.key:
        case "deadly":
            if attempt == 1:
                wait_until(lambda: begun(folder, "patient"))  # so that both are at work when this one dies
            os.kill(os.getpid(), signal.SIGKILL)
        case "patient":  # at work until the other has died; then its successor would get the machine to itself
            wait_until(lambda: begun(folder, "deadly"))
            time.sleep(0.5)
        case "mortal":
            if attempt == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            note_if_alone(folder, "mortal")
        case "greedy":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        case "greedy-once":
            if attempt == 1:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
            note_if_alone(folder, "greedy-once")
        case "gpu-a" | "gpu-b":
            # A fork of a process that has asked CUDA for anything is of no use for a GPU.
            unspoilt = not torch.cuda._is_in_bad_fork()
            (folder / f"{task.key}.gpu").write_text(os.environ["CUDA_VISIBLE_DEVICES"] if unspoilt else "spoilt")
            wait_until(lambda: len(list(folder.glob("*.gpu"))) == 2)  # both are at work at the same time
        case "process-a" | "process-b":
            (folder / f"{task.key}.process").write_text(str(os.getpid()))
        case "environment":
            (folder / "environment").write_text(
                f"{os.environ.get('HANDS_A')} {os.environ.get('HANDS_B')} {os.getcwd()}"
            )
        case "leaves":
            os._exit(1)
        case "hangs":
            time.sleep(600)
        case "raises":
            (folder / "raises.process").write_text(str(os.getpid()))
            raise ValueError("first line\nsecond line")
        case "wrong":
            raise InputError("scan.nii.gz: is empty; give another")
    (folder / f"{task.key}.done").touch()


def note_if_alone(folder, name):
    """Leave a file if every other task that was begun is done or has failed."""
    others = {path.name.split(".")[0] for path in folder.glob("*.begun-*")} - {name, "greedy"}
    if all((folder / f"{other}.done").exists() for other in others):
        (folder / f"{name}.alone").touch()


def wait_until(holds, limit=120.0):
    """Wait; a worker may take long to start on a busy machine, and a broken test must still end."""
    end = time.monotonic() + limit
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
