"""Runs the tasks of a study on a Dask cluster: SLURM, Kubernetes or a few machines, by whatever Dask is started with.

All workers must see the store, the cache and the cohort under the same paths, as on a shared disk; no array goes over
the network. A worker that dies costs the task that it was at: Dask gives it to another, which goes on from its
checkpoint. A task that hangs fails, and its worker is started anew by its nanny, as nothing else can end it.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strokereg.core.study.context import StudyContext
from strokereg.core.study.executor import StudyCallbacks, sort_out
from strokereg.core.study.patience import LIMIT, Patience
from strokereg.core.study.plan import Task
from strokereg.core.study.tasks import perform
from strokereg.core.study.worker import Message, attempt
from strokereg.registry.errors import InputError, RunFailed

if TYPE_CHECKING:
    from distributed import Client

_TOPIC = "strokereg"
_PATIENCE = 10  # seconds for the scheduler to answer
_RESTART = 120  # seconds for a worker to be there again


@dataclass(frozen=True)
class DaskExecutor:
    """The workers of a Dask scheduler.

    Args:
        address: `host:port` of the scheduler.
        limit: seconds that a task may go without a sign of life, such as a step, once it has begun.
    """

    address: str
    limit: float = LIMIT

    def run(self, context: StudyContext, tasks: Iterable[Task], callbacks: StudyCallbacks) -> dict[str, str]:
        """Do all tasks; returns key → sentence of those that failed or lacked what they need.

        Raises:
            InputError: no scheduler at the address, workers that do not fit, or wrong input.
            RunFailed: the scheduler went away; called again, the study goes on where it stopped.
        """
        by_key, done, failures, todo = sort_out(context, tasks, callbacks)
        if not todo:
            return failures
        context.store.mkdir(parents=True, exist_ok=True)
        with _connect(self.address) as client:
            heard: queue.SimpleQueue[tuple[str, Message]] = queue.SimpleQueue()
            client.subscribe_topic(_TOPIC, lambda event: heard.put((event[1][0], Message(*event[1][1]))))
            _try_out(client, context)
            running: dict[str, Any] = {}
            patience, places = Patience(self.limit), dict[str, str]()

            def fail(key: str, sentence: str) -> None:
                failures[key] = sentence
                callbacks.ended(by_key[key], sentence)

            while todo or running:
                for task in list(todo):
                    lost = next((key for key in task.needs if key in failures), None)
                    if lost is not None:
                        todo.remove(task)
                        fail(task.key, f"needs {by_key[lost].title}, which failed")
                    elif done.issuperset(task.needs):
                        todo.remove(task)
                        needs = {key: by_key[key] for key in task.needs}
                        name = f"{task.kind}-{task.key[:16]}"
                        running[task.key] = client.submit(_remote, context, task, needs, key=name, pure=False)
                begun = time.monotonic()
                _wait(client, running)
                waited = min(1.0, time.monotonic() - begun)
                while not heard.empty():
                    key, word = heard.get()
                    if key not in running:
                        continue
                    patience.hear(key, word)
                    if word.kind == "ready":
                        places[key] = word.text
                    else:
                        callbacks.step(by_key[key], word.step, word.total, word.losses or {})
                for key in [key for key, future in running.items() if future.done()]:
                    patience.forget(key)
                    word = _word(running.pop(key))
                    if word.kind == "wrong":
                        client.cancel(list(running.values()))
                        raise InputError(word.text)
                    if word.kind == "done":
                        done.add(key)
                        callbacks.ended(by_key[key], None)
                    else:
                        fail(key, word.text)
                for key in patience.lost(waited):
                    if _is_at(client, running[key], places.get(key, "")):
                        fail(key, patience.sentence(key))
                        _end(client, running.pop(key), places[key])
                    patience.forget(key)  # where its worker died, until another takes it up
        return failures


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise InputError(
            "--executor dask: the package distributed is not installed; pip install 'strokereg[cluster]'"
        ) from error
    try:
        return Client(f"tcp://{address}", timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--executor dask://{address}: no Dask scheduler answers there; start one with 'dask scheduler'"
        ) from error


def _try_out(client: Client, context: StudyContext) -> None:
    """Send the context to every worker once, to see that they can take it.

    Each task brings it along all the same: what is only kept on workers is lost with the last of them.
    """
    try:
        client.scatter(context, broadcast=True)
    except Exception as error:  # Dask raises plain exceptions with the worker's error as text
        raise InputError(
            f"--executor dask: its workers cannot take the study ({error}); install the same strokereg and plugins "
            "on all of them, and start at least one"
        ) from error


def _wait(client: Client, running: dict[str, Any]) -> None:
    """Until one task is done or a second has gone by."""
    from distributed import wait

    if client.status != "running":
        raise RunFailed("the Dask scheduler went away; call the same command again to go on where it stopped")
    with contextlib.suppress(TimeoutError):
        wait(list(running.values()), timeout=1.0, return_when="FIRST_COMPLETED")


def _is_at(client: Client, future: Any, place: str) -> bool:
    """Whether a task that has begun on a worker is still there, and not in the queue of another."""
    return future.key in client.processing().get(place, ())


def _end(client: Client, future: Any, place: str) -> None:
    """Give a task up and start its worker anew. One without a nanny stays as it is, and takes no other task."""
    client.cancel([future])
    with contextlib.suppress(ValueError, TimeoutError):
        client.restart_workers([place], timeout=_RESTART, raise_for_error=False)


def _word(future: Any) -> Message:
    """How a task ended."""
    from distributed import KilledWorker

    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, KilledWorker):
        return Message("failed", "its worker process died again and again; is there enough memory?")
    return Message("failed", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}")


def _remote(context: StudyContext, task: Task, needs: dict[str, Task]) -> Message:
    """Do a task on a worker, if that is fit for it."""
    from distributed import get_worker

    worker = get_worker()
    if worker.state.nthreads != 1:
        # Seeds and threads belong to a process: two tasks in one would disturb each other.
        return Message(
            "wrong", "a Dask worker has several threads; start workers with --nthreads 1, more of them instead"
        )
    if not context.store.is_dir():
        return Message(
            "wrong",
            f"the Dask worker on {socket.gethostname()} does not see {context.store}; put --out, the cohort and "
            "STROKEREG_CACHE on a disk that all workers share under one path",
        )

    def say(word: Message) -> None:
        worker.log_event(_TOPIC, [task.key, list(word)])

    say(Message("ready", worker.address))
    return attempt(context, task, needs, perform, say)
