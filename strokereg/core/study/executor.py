"""The loop that runs the tasks of a study, for every kind of worker.

A task starts as soon as everything it needs is done. `LocalExecutor` (processes of this machine) and `DaskExecutor` (a
cluster) share this loop. They differ in their `Pool`, which starts tasks, receives messages and ends hung tasks.

Workers report their steps at least once a second. A task that stays silent for longer than the step limit counts as
hung: it fails, and is not tried again. Silence counts only while this process listens, so suspending the
study for a night does no harm.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple, Protocol

import torch

from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import Plan, Task
from strokereg.core.study.tasks import Report, is_done
from strokereg.core.train.device import resolve
from strokereg.core.train.tracking import Tracking
from strokereg.registry.errors import InputError, StrokeregError

#: Seconds without a sign of life until a task counts as hung: far beyond any step that is worth waiting for.
STEP_LIMIT = 3600.0
#: Workers that a task may lose until it counts as failed.
ATTEMPTS = 2
#: The reason given for a task that lost its worker too often.
DIED = "its worker process died repeatedly; is there enough memory?"
#: The same where the system killed it.
KILLED = (
    "its worker process was killed twice, most likely because memory ran out; use fewer --workers or smaller batches"
)


class StudyCallbacks(Protocol):
    """Functions that follow a study. About fifty steps of each task are reported."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """The data are being prepared."""
        ...

    def planned(self, plan: Plan, expected: Mapping[str, float]) -> None:
        """All tasks are known, and work begins. `expected` has the seconds of those whose like has finished before."""
        ...

    def found(self, task: Task) -> None:
        """An earlier call has done this task."""
        ...

    def step(self, task: Task, step: int, total: int, losses: dict[str, float]) -> None:
        """A task has done a step."""
        ...

    def ended(self, task: Task, failure: str | None) -> None:
        """A task is done, or failed for this reason."""
        ...


class NoCallbacks:
    """Ignores everything."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: None


class TrackedCallbacks:
    """Passes everything on, and reports each training to experiment trackers under the name of its folder."""

    def __init__(self, callbacks: StudyCallbacks, tracking: Tracking):
        self._callbacks, self._tracking = callbacks, tracking
        self.preparing, self.planned, self.found = callbacks.preparing, callbacks.planned, callbacks.found

    def step(self, task: Task, step: int, total: int, losses: dict[str, float]) -> None:
        """A task has done a step; a database has no losses to track."""
        self._callbacks.step(task, step, total, losses)
        if losses:
            facts = {"title": task.title, "role": task.kind, "architecture": task.architecture}
            self._tracking.begin(task.folder, facts | {"cases": task.cases, "seed": task.seed, "steps": task.steps})
            self._tracking.step(task.folder, step, losses)

    def ended(self, task: Task, failure: str | None) -> None:
        """A task is done, or failed."""
        self._callbacks.ended(task, failure)
        self._tracking.end(task.folder, failure)


Perform = Callable[[StudyContext, Task, dict[str, Task], Report], None]

_REPORT_EVERY = 1.0  # seconds after which a slow task reports a step that would have been skipped


class Message(NamedTuple):
    """What a worker reports: it has started, a step, and how its task ended."""

    kind: Literal["started", "step", "done", "failed", "wrong input", "died", "out of memory"]
    text: str = ""
    step: int = 0
    total: int = 0
    losses: dict[str, float] | None = None


class Pool(ABC):
    """The workers of one study."""

    @abstractmethod
    def has_room(self, task: Task) -> bool:
        """Whether this task can start now."""

    @abstractmethod
    def start(self, task: Task, needs: dict[str, Task]) -> None:
        """Give the task to a worker."""

    @abstractmethod
    def messages(self, seconds: float) -> Iterator[tuple[str, Message]]:
        """Wait up to so many seconds for messages; gives (task key, message)."""

    @abstractmethod
    def give_up(self, key: str) -> bool:
        """End the worker of a hung task; False where the task is not at work (it waits for another worker)."""


class Executor(ABC):
    """Runs all tasks of a study.

    Args:
        step_limit: seconds that a task may go without a sign of life once it has started.
    """

    def __init__(self, step_limit: float = STEP_LIMIT):
        self.step_limit = step_limit

    def resolve(self, device: str, precision: str) -> tuple[str, str]:
        """The kind of device and the precision that the workers use, without `auto`."""
        return resolve_kind(device, precision)

    @abstractmethod
    def open_pool(self, context: StudyContext) -> AbstractContextManager[Pool]:
        """Start the workers; on leaving, end them."""

    def run(self, context: StudyContext, tasks: Iterable[Task], callbacks: StudyCallbacks) -> dict[str, str]:
        """Do all tasks that are not done.

        Returns:
            Task key → reason, for tasks that failed or lacked what they need.

        Raises:
            InputError: wrong input, on which every other task would fail too.
        """
        by_key = {task.key: task for task in tasks}
        done = {key for key, task in by_key.items() if is_done(context, task)}
        for key in (key for key in by_key if key in done):
            callbacks.found(by_key[key])
        todo = [task for key, task in by_key.items() if key not in done]
        failures: dict[str, str] = {}
        if not todo:
            return failures
        running: set[str] = set()
        silence = Silence(self.step_limit)

        def fail(key: str, reason: str) -> None:
            failures[key] = reason
            callbacks.ended(by_key[key], reason)

        with self.open_pool(context) as pool:
            while todo or running:
                for task in list(todo):
                    lost = next((key for key in task.needs if key in failures), None)
                    if lost is not None:
                        todo.remove(task)
                        fail(task.key, f"needs {by_key[lost].title}, which failed")
                    elif done.issuperset(task.needs) and pool.has_room(task):
                        todo.remove(task)
                        running.add(task.key)
                        pool.start(task, {key: by_key[key] for key in task.needs})
                begun = time.monotonic()
                heard = list(pool.messages(1.0))
                waited = min(1.0, time.monotonic() - begun)
                for key, message in heard:
                    if key not in running:
                        continue
                    silence.hear(key, message)
                    if message.kind == "step":
                        callbacks.step(by_key[key], message.step, message.total, message.losses or {})
                    if message.kind in ("started", "step"):
                        continue
                    running.remove(key)
                    silence.forget(key)
                    if message.kind == "wrong input":
                        raise InputError(message.text)
                    if message.kind == "died":
                        todo.append(by_key[key])
                    elif message.kind == "failed":
                        fail(key, message.text)
                    else:
                        done.add(key)
                        callbacks.ended(by_key[key], None)
                for key in silence.exceeded(waited):
                    if pool.give_up(key):
                        running.remove(key)
                        fail(key, silence.reason(key))
                    silence.forget(key)
        return failures


class Silence:
    """Measures how long each running task has been silent.

    Args:
        limit: seconds.
    """

    def __init__(self, limit: float):
        self.limit = limit
        self._seconds = dict[str, float]()
        self._last = dict[str, str]()

    def hear(self, key: str, message: Message) -> None:
        """Note a message of a task, which ends its silence."""
        self._seconds[key] = 0.0
        if message.kind == "step":
            self._last[key] = f" after step {message.step} of {message.total}"

    def forget(self, key: str) -> None:
        """The task is not running any more."""
        self._seconds.pop(key, None)
        self._last.pop(key, None)

    def exceeded(self, waited: float) -> list[str]:
        """Add this many seconds to every silence; gives the tasks beyond the limit."""
        for key in self._seconds:
            self._seconds[key] += waited
        return [key for key, seconds in self._seconds.items() if seconds > self.limit]

    def reason(self, key: str) -> str:
        """Why a silent task is given up."""
        return (
            f"hung{self._last.get(key, '')}: no sign of life for {self.limit:g} s; "
            "if its steps are that slow, raise --step-limit"
        )


def resolve_kind(device: str, precision: str) -> tuple[str, str]:
    """As `core.train.device.resolve`, without the number of a GPU: a worker sees only one."""
    chosen, precision = resolve(device, precision)
    return chosen.partition(":")[0], precision


def attempt(
    context: StudyContext, task: Task, needs: dict[str, Task], perform: Perform, send: Callable[[Message], object]
) -> Message:
    """Do a task in this process and report how it ended; used by every worker.

    Args:
        send: gets about fifty steps of the task, and one a second of slow ones.
    """
    every, sent = max(1, task.steps // 50), time.monotonic()

    def report(step: int, total: int, losses: dict[str, float]) -> None:
        nonlocal sent
        if step % every == 0 or step == total or time.monotonic() - sent > _REPORT_EVERY:
            sent = time.monotonic()
            send(Message("step", step=step, total=total, losses=losses))

    try:
        perform(context, task, needs, report)
    except InputError as error:
        return Message("wrong input", str(error))
    except StrokeregError as error:
        return Message("failed", str(error))
    except Exception as error:  # a plugin may raise anything; its arm fails and the others go on
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error):
            return Message("out of memory", _out_of_memory(context, task))
        return failure(error)
    return Message("done")


def failure(error: BaseException) -> Message:
    """The message of a task that ended with an error nobody expected: its kind and first line."""
    return Message("failed", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}")


def _out_of_memory(context: StudyContext, task: Task) -> str:
    device, budget = context.settings.device, context.settings.budgets.get(task.kind)
    where, fix = "memory ran out", "use fewer --workers"
    if device.startswith("cuda") and torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        where = f"the memory of the GPU ran out ({free / 1e9:.1f} of {total / 1e9:.1f} GB are free)"
    if budget is not None:
        where += f" with batches of {budget.batch_size}"
        fix = f"lower --batch-size {task.kind}={budget.batch_size} or --patch, or {fix}"
    return f"{where}, twice; {fix}"
