"""Runs tasks in worker processes of this machine.

Every worker computes with a fixed number of threads, so results do not depend on how many workers there are. A worker
that dies (killed, out of memory) costs its own task only. The task is tried once more, from its checkpoint, when no
other task is running, in case they used the memory that it lacked. A worker whose task failed is ended, since a GPU
may be of no use to its process any more.

On a machine with GPUs, each worker sees one of them, or none for tasks without a network (see `core.study.slots`).

Workers talk through pipes rather than `concurrent.futures`: a process pool does not say whose worker died, and may not
notice while another one is busy.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from strokereg.core.storage.workers import NO_START, end_with_parent, process_context
from strokereg.core.study.context import StudyContext
from strokereg.core.study.executor import ATTEMPTS, DIED, KILLED, STEP_LIMIT, Executor, Message, Perform, Pool, attempt
from strokereg.core.study.plan import Task
from strokereg.core.study.slots import Slots, needs_device
from strokereg.core.study.tasks import perform

PRELOAD = (__name__, "torch._dynamo")  # which the first optimiser imports, and which takes as long as torch itself


class LocalExecutor(Executor):
    """Processes on this machine.

    Args:
        slots: the places for processes; a number stands for as many processes without a GPU of their own.
        step_limit: see `Executor`.
    """

    def __init__(self, slots: Slots | int, step_limit: float = STEP_LIMIT):
        super().__init__(step_limit)
        self.slots = Slots(slots) if isinstance(slots, int) else slots

    @contextlib.contextmanager
    def open_pool(self, context: StudyContext) -> Iterator[Pool]:
        pool = _Processes(context, self.slots)
        try:
            yield pool
        finally:
            pool.end()


class _Processes(Pool):
    def __init__(self, context: StudyContext, slots: Slots):
        self.context, self.slots = context, slots
        self.busy, self.idle = list[_Worker](), list[_Worker]()
        self.deaths = dict[str, int]()

    def has_room(self, task: Task) -> bool:
        if task.key in self.deaths:  # what lost a worker before gets the machine to itself
            return not self.busy
        if any(worker.key in self.deaths for worker in self.busy):
            return False
        return self.slots.place([worker.gpu for worker in self.busy], needs_device(self.context, task)) is not None

    def start(self, task: Task, needs: dict[str, Task]) -> None:
        gpu = self.slots.place([worker.gpu for worker in self.busy], needs_device(self.context, task))
        assert gpu is not None
        fitting = [worker for worker in self.idle if worker.gpu == gpu]
        if fitting:
            self.idle.remove(fitting[0])
        worker = fitting[0] if fitting else _Worker(self.context, perform, gpu)
        self.busy.append(worker)
        worker.begin(task, needs)

    def messages(self, seconds: float) -> Iterator[tuple[str, Message]]:
        by_pipe: dict[Any, _Worker] = {worker.pipe: worker for worker in self.busy}  # Windows has pipes of another type
        for worker in [worker for worker in self.busy if worker.reused]:
            worker.reused = False
            yield worker.key, Message("started")
        for pipe in wait(by_pipe, seconds):
            worker = by_pipe[pipe]
            message = worker.listen()
            if message.kind in ("died", "out of memory"):
                message = self._bury(worker, message.text)
            elif message.kind not in ("started", "step"):
                self.busy.remove(worker)
                if message.kind == "done":
                    self.idle.append(worker)
                else:
                    worker.end()
            yield worker.key, message

    def give_up(self, key: str) -> bool:
        [worker] = [one for one in self.busy if one.key == key]
        self.busy.remove(worker)
        worker.end()
        return True

    def end(self) -> None:
        for worker in (*self.busy, *self.idle):
            worker.end()

    def _bury(self, worker: _Worker, reason: str) -> Message:
        self.busy.remove(worker)
        worker.end()
        self.deaths[worker.key] = self.deaths.get(worker.key, 0) + 1
        return Message("died") if self.deaths[worker.key] < ATTEMPTS else Message("failed", reason)


class _Worker:
    """A process that does one task at a time and ends with the process that started it.

    Args:
        gpu: the only GPU that it sees, as CUDA numbers or names it; "" for none.
    """

    def __init__(self, context: StudyContext, perform: Perform, gpu: str):
        processes = process_context(PRELOAD)
        self.gpu = gpu
        self.key = ""
        self.serves = False  # once it has started, which may take some seconds
        self.reused = False
        self.pipe, far_end = processes.Pipe()
        given = (far_end, context, perform, {**os.environ, "CUDA_VISIBLE_DEVICES": gpu})
        self._process = processes.Process(target=_serve, args=given, daemon=True)
        self._process.start()
        far_end.close()  # so that reading fails once the worker is gone

    def begin(self, task: Task, needs: dict[str, Task]) -> None:
        """Give it a task; only while it has none."""
        self.key, self.reused = task.key, self.serves
        with contextlib.suppress(OSError):  # it died just now; listening to it says so
            self.pipe.send((task, needs))

    def listen(self) -> Message:
        """Its next message; one must be waiting."""
        try:
            message = self.pipe.recv()
            self.serves = True
            return message
        except (EOFError, OSError):
            self._process.join(5.0)
            if not self.serves and self._process.exitcode == 1:  # not killed: Python gave up on importing
                return Message("wrong input", NO_START)
            killed = os.name != "nt" and self._process.exitcode == -signal.SIGKILL
            return Message("died", KILLED if killed else DIED)

    def end(self) -> None:
        """End it at once. Nothing of value is lost: checkpoints are whole."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _serve(pipe: Connection, context: StudyContext, perform: Perform, environment: dict[str, str]) -> None:
    os.environ.clear()  # it may be older, see `process_context`
    os.environ.update(environment)  # before anything here uses CUDA
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the study, which ends its workers
    pipe.send(Message("started"))
    while True:
        try:
            task, needs = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(context, task, needs, perform, pipe.send))
        if torch.cuda.is_initialized():  # others share the GPU
            torch.cuda.empty_cache()
