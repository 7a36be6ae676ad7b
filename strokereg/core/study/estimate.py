"""Estimates the work and time of a study from the time that comparable tasks took.

A finished task notes its seconds and a key of what determines the time of one step (`cost_of`). Tasks of other
studies on this machine count too.
"""

from __future__ import annotations

import heapq
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import Plan, Task, TaskKind, cost_of, make_plan
from strokereg.core.study.store import find_elsewhere
from strokereg.core.study.tasks import is_done, outcome_path


@dataclass(frozen=True)
class PlannedArm:
    """An arm, and how many of its trainings are done."""

    name: str
    cases: int
    trainings: int
    done: int


@dataclass(frozen=True)
class PlannedWork:
    """All tasks of one kind and architecture.

    Attributes:
        seconds: of one task that is left; None where none is left, or no comparable task has finished yet.
    """

    kind: TaskKind
    architecture: str
    tasks: int
    done: int
    steps: int
    seconds: float | None


@dataclass(frozen=True)
class Estimate:
    """A study before it is run.

    Attributes:
        workers: processes that the estimate is for.
        seconds: until the study is done; None where some work has no estimate.
        unknown: kinds of work without an estimate, such as `translator pix2pix`.
    """

    arms: Sequence[PlannedArm]
    work: Sequence[PlannedWork]
    workers: int
    seconds: float | None
    unknown: Sequence[str]


def estimate_study(context: StudyContext, workers: int, stores: Sequence[Path] = ()) -> Estimate:
    """Plan a study and find finished tasks, here or in other stores. Unfinished tasks count in full."""
    plan = make_plan(context)
    done = {key for key, task in plan.tasks.items() if _is_finished(context, task, stores)}
    todo = [task for key, task in plan.tasks.items() if key not in done]
    expected = expected_seconds(context, plan, stores)
    seconds = {task.key: expected[task.key] for task in todo if task.key in expected}
    arms = [
        PlannedArm(arm.name, arm.cases, len(arm.segmenters), sum(task.key in done for task in arm.segmenters))
        for arm in plan.arms
    ]
    unknown = dict.fromkeys(f"{task.kind} {task.architecture}" for task in todo if task.key not in seconds)
    total = None if unknown else span(todo, seconds, workers)
    return Estimate(arms, _work(plan, done, seconds), workers, total, tuple(unknown))


def expected_seconds(context: StudyContext, plan: Plan, stores: Sequence[Path] = ()) -> dict[str, float]:
    """Task key → the seconds that it should take, for tasks of which comparable ones have finished."""
    rates = _rates([context.store, *stores])
    costs = {key: cost_of(context, task) for key, task in plan.tasks.items()}
    return {key: rates[cost] * plan.tasks[key].steps for key, cost in costs.items() if cost in rates}


class TimeLeft:
    """The time that a running study still needs. Times are seconds of a clock that the caller reads.

    Tasks of the same kind and architecture count as alike: what one of them needs for a step in this study comes before
    what comparable tasks took in others.

    Args:
        tasks: all tasks of the study, in an order in which needs come first.
        expected: see `expected_seconds`.
    """

    def __init__(self, tasks: Iterable[Task], expected: Mapping[str, float]):
        self._todo = {task.key: task for task in tasks}
        self._expected = expected
        self._running: dict[str, tuple[float, int, float, int]] = {}  # time and step at the first sign and at the last
        self._rates: dict[tuple[TaskKind, str], float] = {}  # seconds a step
        self._workers = 1

    def step(self, task: Task, step: int, now: float) -> None:
        """A task has done a step."""
        begun, first = self._running[task.key][:2] if task.key in self._running else (now, step)
        self._running[task.key] = (begun, first, now, step)
        self._workers = max(self._workers, len(self._running))
        if step > first and now > begun:
            self._rates[task.kind, task.architecture] = (now - begun) / (step - first)

    def end(self, task: Task, now: float) -> None:
        """A task is done, failed, or was done before."""
        self._todo.pop(task.key, None)
        begun, first, *_ = self._running.pop(task.key, (now, task.steps))
        if first < task.steps:
            self._rates[task.kind, task.architecture] = (now - begun) / (task.steps - first)

    def seconds(self, now: float) -> tuple[float, bool]:
        """Seconds until the last task is done, and whether the time of every task is known; others count as 0."""
        left = {key: self._of(task, now) for key, task in self._todo.items()}
        known = {key: seconds or 0.0 for key, seconds in left.items()}
        return span(list(self._todo.values()), known, self._workers), None not in left.values()

    def _of(self, task: Task, now: float) -> float | None:
        rate = self._rates.get((task.kind, task.architecture))
        if rate is None:
            whole = self._expected.get(task.key)
            rate = None if whole is None else whole / task.steps
        if rate is None:
            return None
        _, _, seen, step = self._running.get(task.key, (now, 0, now, 0))
        return max(0.0, rate * (task.steps - step) - (now - seen))


def span(tasks: Sequence[Task], seconds: Mapping[str, float], workers: int) -> float:
    """Seconds until all tasks are done, each begun in order as soon as a process is free and its needs are met.

    Args:
        tasks: what is left, in an order in which needs come first; needs that are not among them are met.
        seconds: of each, by key.
    """
    waiting, running, ended = list(tasks), list[tuple[float, str]](), set[str]()
    names, now = {task.key for task in tasks}, 0.0
    while waiting or running:
        for task in list(waiting):
            if len(running) < workers and ended.issuperset(names.intersection(task.needs)):
                waiting.remove(task)
                heapq.heappush(running, (now + seconds[task.key], task.key))
        now, key = heapq.heappop(running)
        ended.add(key)
    return now


def _is_finished(context: StudyContext, task: Task, stores: Sequence[Path]) -> bool:
    if is_done(context, task):
        return True
    place = find_elsewhere(context, task, stores)
    return place is not None and (place / outcome_path(context, task).name).is_file()


def _rates(stores: Sequence[Path]) -> dict[str, float]:
    """Cost key → median seconds of a step, over all finished tasks of these stores."""
    found: dict[str, list[float]] = {}
    for store in stores:
        for path in store.glob("*/outcome*.json"):
            said = json.loads(path.read_text(encoding="utf-8"))
            if said.get("cost"):
                found.setdefault(said["cost"], []).append(said["seconds"] / said["steps"])
    return {cost: statistics.median(seconds) for cost, seconds in found.items()}


def _work(plan: Plan, done: set[str], seconds: Mapping[str, float]) -> list[PlannedWork]:
    groups: dict[tuple[TaskKind, str], list[Task]] = {}
    for task in plan.tasks.values():
        groups.setdefault((task.kind, task.architecture), []).append(task)
    work = []
    for (kind, architecture), tasks in groups.items():
        left = [task for task in tasks if task.key not in done]
        known = [seconds[task.key] for task in left if task.key in seconds]
        each = statistics.fmean(known) if known and len(known) == len(left) else None
        work.append(PlannedWork(kind, architecture, len(tasks), len(tasks) - len(left), tasks[0].steps, each))
    return work
