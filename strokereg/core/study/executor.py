"""Runs tasks in worker processes, each as soon as what it needs is done.

Every worker computes with a fixed number of threads, so results do not depend on how many workers there are.
A worker that dies (killed, out of memory) costs its own task only: the pool is made anew and whatever ran is
begun again from its checkpoint. A pool does not say whose worker died, so what ran side by side then is tried
again one at a time. Workers end with the process that started them, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from strokereg.core.errors import InputError, StrokeregError
from strokereg.core.study.plan import Plan, Task
from strokereg.core.study.stage import Stage
from strokereg.core.study.work import is_done, perform
from strokereg.core.workers import end_with_parent

_DEATHS = 2  # how often a task may lose its worker while nothing else runs, until it counts as failed


class Watcher(Protocol):
    """Who is told how a study goes."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """The data are being made ready."""
        ...

    def planned(self, plan: Plan) -> None:
        """The work is laid out and begins."""
        ...

    def found(self, task: Task) -> None:
        """The task was done by an earlier call."""
        ...

    def step(self, task: Task, step: int, total: int, losses: dict[str, float]) -> None:
        """A task has done a step."""
        ...

    def ended(self, task: Task, failure: str | None) -> None:
        """A task is done, or did not hold."""
        ...


class Silent:
    """A watcher that says nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: None


def default_workers(device: torch.device) -> int:
    """One process on a GPU, one for each core that this process may use on a CPU."""
    if device.type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class LocalExecutor:
    """Processes on this machine.

    Args:
        workers: processes at a time.
    """

    workers: int

    def run(self, stage: Stage, tasks: Iterable[Task], watcher: Watcher) -> dict[str, str]:
        """Do all tasks; returns key → sentence of those that failed or lacked what they need.

        Raises:
            InputError: wrong input, which no other task would survive either.
        """
        by_key = {task.key: task for task in tasks}
        done, failures = set(), dict[str, str]()
        for key, task in by_key.items():
            if is_done(stage, task):
                done.add(key)
                watcher.found(task)
        waiting = [task for key, task in by_key.items() if key not in done]
        suspects: list[Task] = []
        deaths: dict[str, int] = {}
        while waiting:
            alone = suspects[:1]
            crashed = self._round(stage, by_key, alone or waiting, done, failures, watcher)
            for task in crashed if alone else ():
                deaths[task.key] = deaths.get(task.key, 0) + 1
                if deaths[task.key] >= _DEATHS:
                    failures[task.key] = "its worker process died again and again; is there enough memory?"
                    watcher.ended(task, failures[task.key])
            waiting = [task for task in waiting if task.key not in done and task.key not in failures]
            suspects = [task for task in (suspects if alone else crashed) if task in waiting]
        return failures

    def _round(
        self,
        stage: Stage,
        by_key: dict[str, Task],
        waiting: list[Task],
        done: set[str],
        failures: dict[str, str],
        watcher: Watcher,
    ) -> list[Task]:
        """Work until nothing is left or a worker dies; returns the tasks that were running then."""
        context = multiprocessing.get_context("spawn")
        events: Any = context.Queue()
        running: dict[Future[None], Task] = {}
        pool = ProcessPoolExecutor(self.workers, context, _begin, (events,))
        try:
            todo = list(waiting)
            while todo or running:
                for task in list(todo):
                    lost = next((key for key in task.needs if key in failures), None)
                    if lost is not None:
                        failures[task.key] = f"needs {by_key[lost].title}, which failed"
                        watcher.ended(task, failures[task.key])
                        todo.remove(task)
                    elif len(running) < self.workers and all(key in done for key in task.needs):
                        needs = {key: by_key[key] for key in task.needs}
                        running[pool.submit(_work, stage, task, needs)] = task
                        todo.remove(task)
                finished, _ = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
                _tell(events, {task.key: task for task in running.values()}, watcher)
                for future in finished:
                    failure = _failure(future)
                    task = running.pop(future)
                    if failure is not None:
                        failures[task.key] = failure
                    else:
                        done.add(task.key)
                    watcher.ended(task, failure)
            return []
        except BrokenProcessPool:
            return list(running.values())
        finally:
            # Nothing of value is lost by ending workers at once: their checkpoints are whole.
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)


def _failure(future: Future[None]) -> str | None:
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, (InputError, BrokenProcessPool)):
        raise error
    if isinstance(error, StrokeregError):
        return str(error)
    # A plugin may raise anything; its arm fails and the others go on.
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"


def _tell(events: Any, at_work: dict[str, Task], watcher: Watcher) -> None:
    while True:
        try:
            key, step, total, losses = events.get_nowait()
        except queue.Empty:
            return
        if key in at_work:  # a late word of a task that has ended already would only confuse
            watcher.step(at_work[key], step, total, losses)


_events: Any = None  # of this worker process


def _begin(events: Any) -> None:
    """Set up a worker: where to report, and to end with its parent."""
    global _events
    _events = events
    end_with_parent()


def _work(stage: Stage, task: Task, needs: dict[str, Task]) -> None:
    every = max(1, task.steps // 50)

    def report(step: int, total: int, losses: dict[str, float]) -> None:
        if step % every == 0 or step == total:
            _events.put((task.key, step, total, losses))

    perform(stage, task, needs, report)
