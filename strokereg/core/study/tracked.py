"""A study's callbacks that tells trackers too."""

from __future__ import annotations

from strokereg.core.study.executor import StudyCallbacks
from strokereg.core.study.plan import Plan, Task
from strokereg.core.train.tracking import Tracking


class TrackedCallbacks:
    """Passes everything on, and tells trackers of each task under its folder's name.

    It listens in the process that runs the study, where about fifty steps of a task are heard of, whoever works at it.
    """

    def __init__(self, callbacks: StudyCallbacks, tracking: Tracking):
        self._watcher, self._tracking = callbacks, tracking

    def preparing(self, what: str, done: int, total: int) -> None:
        """The data are being made dataset."""
        self._watcher.preparing(what, done, total)

    def planned(self, plan: Plan) -> None:
        """The work is laid out and begins."""
        self._watcher.planned(plan)

    def found(self, task: Task) -> None:
        """The task was done by an earlier call; its losses were told then."""
        self._watcher.found(task)

    def step(self, task: Task, step: int, total: int, losses: dict[str, float]) -> None:
        """A task has done a step."""
        self._watcher.step(task, step, total, losses)
        if losses:  # a database has none
            facts = {"title": task.title, "role": task.kind, "architecture": task.architecture}
            self._tracking.begin(task.folder, facts | {"cases": task.cases, "seed": task.seed, "steps": task.steps})
            self._tracking.step(task.folder, step, losses)

    def ended(self, task: Task, failure: str | None) -> None:
        """A task is done, or did not hold."""
        self._watcher.ended(task, failure)
        self._tracking.end(task.folder, failure)
