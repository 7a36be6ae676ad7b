"""What a study would do, and for how long: its arms, what is done already, steps, hours."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from strokereg.core.study.calibrate import calibrate, kind_of
from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import Plan, Task, make_plan
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
    """All tasks of one kind and architecture; seconds are of one task, on one process among its like."""

    kind: str
    architecture: str
    tasks: int
    done: int
    steps: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """A study before it is run.

    Attributes:
        seconds: until the study is done, as things stand; what is begun counts as not begun.
        workers: processes that this is for.
    """

    arms: Sequence[PlannedArm]
    work: Sequence[PlannedWork]
    workers: int
    seconds: float


def estimate_study(context: StudyContext, workers: int, stores: Sequence[Path] = ()) -> Estimate:
    """Plan a study, see what is done here or in other stores, and time a few steps of the rest."""
    plan = make_plan(context)
    done, trained = set[str](), set[str]()
    for key, task in plan.tasks.items():
        elsewhere = None if is_done(context, task) else find_elsewhere(context, task, stores)
        if is_done(context, task) or (elsewhere and (elsewhere / outcome_path(context, task).name).is_file()):
            done.add(key)
        elif elsewhere:
            trained.add(key)
    todo = [task for key, task in plan.tasks.items() if key not in done]
    costs, start = calibrate(context, plan, todo, workers) if todo else ({}, 0.0)
    seconds = {task.key: costs[kind_of(task)].of(task, task.key in trained) for task in todo}
    arms = [
        PlannedArm(arm.name, arm.cases, len(arm.segmenters), sum(task.key in done for task in arm.segmenters))
        for arm in plan.arms
    ]
    return Estimate(arms, _work(plan, done, seconds), workers, start + span(todo, seconds, workers))


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


def _work(plan: Plan, done: set[str], seconds: Mapping[str, float]) -> list[PlannedWork]:
    groups: dict[tuple[str, str], list[Task]] = {}
    for task in plan.tasks.values():
        groups.setdefault((task.kind, task.architecture), []).append(task)
    work = []
    for (kind, architecture), tasks in groups.items():
        left = [seconds[task.key] for task in tasks if task.key not in done]
        finished, each = len(tasks) - len(left), sum(left) / len(left) if left else 0.0
        work.append(PlannedWork(kind, architecture, len(tasks), finished, tasks[0].steps, each))
    return work
