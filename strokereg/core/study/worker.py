"""One worker process, that does one task at a time and says how it goes.

Written on pipes rather than on `concurrent.futures`: a pool does not say whose worker died, and may not notice at all
while another is at work.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, NamedTuple

from strokereg.core.storage.workers import end_with_parent
from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import Task
from strokereg.core.study.tasks import Report
from strokereg.registry.errors import InputError, StrokeregError

Perform = Callable[[StudyContext, Task, dict[str, Task], Report], None]

_QUIET = 1.0  # seconds until a step is spoken of that would have been passed over

_NO_START = (
    "worker processes cannot start (the reason stands above); in a script of your own, call strokereg under "
    "if __name__ == '__main__':, because each worker imports the script"
)


class Message(NamedTuple):
    """What a worker says: it serves, a step of its task, its end, a failure, wrong input; or, for it, its death."""

    kind: Literal["ready", "step", "done", "failed", "wrong", "died"]
    text: str = ""
    step: int = 0
    total: int = 0
    losses: dict[str, float] | None = None


class Worker:
    """A process of its own, that ends with the one that started it."""

    def __init__(self, context: StudyContext, perform: Perform):
        spawn = multiprocessing.get_context("spawn")
        self.task: Task | None = None
        self.serves = False  # once it has started, which takes some seconds
        self.pipe, far_end = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(far_end, context, perform), daemon=True)
        self._process.start()
        far_end.close()  # so that reading fails once the worker is gone

    def begin(self, task: Task, needs: dict[str, Task]) -> None:
        """Give it work; only while it has none."""
        self.task = task
        with contextlib.suppress(OSError):  # it died just now; listening to it says so
            self.pipe.send((task, needs))

    def listen(self) -> Message:
        """Its next word; one must be waiting."""
        try:
            word = self.pipe.recv()
            self.serves = True
            return word
        except (EOFError, OSError):
            self._process.join(5.0)
            if not self.serves and self._process.exitcode == 1:  # not killed: Python gave up on importing
                return Message("wrong", _NO_START)
            return Message("died")

    def end(self) -> None:
        """End it at once. Nothing of value is lost: checkpoints are whole."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


def spoken(workers: Iterable[Worker], seconds: float) -> Sequence[Worker]:
    """The workers of whom there is word, after waiting this long for one at most."""
    by_pipe: dict[Any, Worker] = {worker.pipe: worker for worker in workers}  # Windows has pipes of another type
    return [by_pipe[pipe] for pipe in wait(by_pipe, seconds)]


def _serve(pipe: Connection, context: StudyContext, perform: Perform) -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the study, which ends its workers
    pipe.send(Message("ready"))
    while True:
        try:
            task, needs = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(context, task, needs, perform, pipe.send))


def attempt(
    context: StudyContext, task: Task, needs: dict[str, Task], perform: Perform, say: Callable[[Message], object]
) -> Message:
    """Do a task and say how it ended; `say` hears of about fifty steps of it, and of one a second of slow ones."""
    every, spoke = max(1, task.steps // 50), time.monotonic()

    def report(step: int, total: int, losses: dict[str, float]) -> None:
        nonlocal spoke
        if step % every == 0 or step == total or time.monotonic() - spoke > _QUIET:
            spoke = time.monotonic()
            say(Message("step", step=step, total=total, losses=losses))

    try:
        perform(context, task, needs, report)
    except InputError as error:
        return Message("wrong", str(error))
    except StrokeregError as error:
        return Message("failed", str(error))
    except Exception as error:  # a plugin may raise anything; its arm fails and the others go on
        return Message(
            "failed", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        )
    return Message("done")
