"""Runs tasks in worker processes, each as soon as what it needs is done.

Every worker computes with a fixed number of threads, so results do not depend on how many workers there are.
A worker that dies (killed, out of memory) costs its own task only, which is taken up again from its checkpoint when
no other task is at work, in case it was their memory that it lacked. One that hangs is ended and fails: what hung once
would hang again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch

from strokereg.core.study.context import StudyContext
from strokereg.core.study.patience import LIMIT, Patience
from strokereg.core.study.plan import Plan, Task
from strokereg.core.study.tasks import is_done, perform
from strokereg.core.study.worker import Message, Worker, spoken
from strokereg.registry.errors import InputError

_DEATHS = 2  # how often a task may lose its worker until it counts as failed


class StudyCallbacks(Protocol):
    """Who is told how a study goes."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """The data are being made dataset."""
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


class NoCallbacks:
    """A callbacks that says nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: None


class Executor(Protocol):
    """Who does the tasks of a study: processes of this machine, or a cluster."""

    def run(self, context: StudyContext, tasks: Iterable[Task], callbacks: StudyCallbacks) -> dict[str, str]:
        """Do all tasks; returns key → sentence of those that failed or lacked what they need."""
        ...


def default_workers(device: torch.device) -> int:
    """One process on a GPU, one for each core that this process may use on a CPU."""
    if device.type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sort_out(
    context: StudyContext, tasks: Iterable[Task], callbacks: StudyCallbacks
) -> tuple[dict[str, Task], set[str], dict[str, str], list[Task]]:
    """Tasks by key, the keys of those that are done, room for failures, and what is to be done, in order."""
    by_key = {task.key: task for task in tasks}
    done = set[str]()
    for key, known in by_key.items():
        if is_done(context, known):
            done.add(key)
            callbacks.found(known)
    return by_key, done, {}, [known for key, known in by_key.items() if key not in done]


@dataclass(frozen=True)
class LocalExecutor:
    """Processes on this machine.

    Args:
        workers: processes at a time.
        limit: seconds that a task may go without a sign of life, such as a step; then its worker is ended.
    """

    workers: int
    limit: float = LIMIT

    def run(self, context: StudyContext, tasks: Iterable[Task], callbacks: StudyCallbacks) -> dict[str, str]:
        """Do all tasks; returns key → sentence of those that failed or lacked what they need.

        Raises:
            InputError: wrong input, which no other task would survive either.
        """
        by_key, done, failures, todo = sort_out(context, tasks, callbacks)
        deaths, patience = dict[str, int](), Patience(self.limit)
        busy, idle = list[Worker](), list[Worker]()

        def fail(failed: Task, sentence: str) -> None:
            failures[failed.key] = sentence
            callbacks.ended(failed, sentence)

        try:
            while todo or busy:
                for next_one in list(todo):
                    lost = next((key for key in next_one.needs if key in failures), None)
                    if lost is not None:
                        todo.remove(next_one)
                        fail(next_one, f"needs {by_key[lost].title}, which failed")
                    elif done.issuperset(next_one.needs) and self._has_room(next_one, busy, deaths):
                        todo.remove(next_one)
                        busy.append(idle.pop() if idle else Worker(context, perform))
                        busy[-1].begin(next_one, {key: by_key[key] for key in next_one.needs})
                        if busy[-1].serves:
                            patience.hear(next_one.key, Message("ready"))
                begun = time.monotonic()
                heard = spoken(busy, seconds=1.0)
                waited = min(1.0, time.monotonic() - begun)
                for worker in heard:
                    word = worker.listen()
                    task = worker.task
                    assert task is not None  # it is busy
                    patience.hear(task.key, word)
                    if word.kind == "ready":
                        continue
                    if word.kind == "step":
                        callbacks.step(task, word.step, word.total, word.losses or {})
                        continue
                    busy.remove(worker)
                    patience.forget(task.key)
                    if word.kind == "died":
                        worker.end()
                        deaths[task.key] = deaths.get(task.key, 0) + 1
                        if deaths[task.key] < _DEATHS:
                            todo.append(task)
                        else:
                            fail(task, "its worker process died again and again; is there enough memory?")
                        continue
                    idle.append(worker)
                    if word.kind == "wrong":
                        raise InputError(word.text)
                    if word.kind == "failed":
                        fail(task, word.text)
                    else:
                        done.add(task.key)
                        callbacks.ended(task, None)
                for key in patience.lost(waited):
                    [worker] = [one for one in busy if one.task is not None and one.task.key == key]
                    busy.remove(worker)
                    worker.end()
                    fail(by_key[key], patience.sentence(key))
                    patience.forget(key)
            return failures
        finally:
            for worker in (*busy, *idle):
                worker.end()

    def _has_room(self, task: Task, busy: list[Worker], deaths: dict[str, int]) -> bool:
        """Whether it may begin now. What lost a worker before shares the machine with no other."""
        if task.key in deaths:
            return not busy
        return len(busy) < self.workers and not any(w.task is not None and w.task.key in deaths for w in busy)
