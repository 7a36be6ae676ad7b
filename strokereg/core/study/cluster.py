"""Runs tasks on a Dask cluster: SLURM, Kubernetes or a few machines, started in whatever way Dask supports.

All workers must see the store, the cache and the cohort under the same paths, as on a shared disk; no array travels
over the network. When a worker dies, Dask gives its task to another one, which continues from the checkpoint. When a
task hangs, it fails and the nanny restarts its worker.
"""

from __future__ import annotations

import contextlib
import queue
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from strokereg.core.study.context import StudyContext
from strokereg.core.study.executor import (
    ATTEMPTS,
    DIED,
    STEP_LIMIT,
    Executor,
    Message,
    Pool,
    attempt,
    failure,
    resolve_kind,
)
from strokereg.core.study.plan import Task
from strokereg.core.study.tasks import perform
from strokereg.registry.errors import InputError, RunFailed

if TYPE_CHECKING:
    from distributed import Client

_TOPIC = "strokereg"
_ANSWER = 10  # seconds for the scheduler to answer
_RESTART = 120  # seconds for a worker to come back


class DaskExecutor(Executor):
    """The workers of a Dask scheduler.

    Args:
        address: `host:port` of the scheduler.
        step_limit: see `Executor`.
    """

    def __init__(self, address: str, step_limit: float = STEP_LIMIT):
        super().__init__(step_limit)
        self.address = address

    def resolve(self, device: str, precision: str) -> tuple[str, str]:
        """The kind of device and the precision that one of the workers would use; the others must have the same.

        Raises:
            InputError: no scheduler at the address, or a worker without that device.
        """
        with _connect(self.address) as client:
            try:
                return client.submit(resolve_kind, device, precision, pure=False).result(_ANSWER)
            except TimeoutError as error:
                raise InputError(f"--executor dask://{self.address}: it has no free worker; start one") from error

    @contextlib.contextmanager
    def open_pool(self, context: StudyContext) -> Iterator[Pool]:
        """Connect to the scheduler.

        Raises:
            InputError: no scheduler at the address, or workers that cannot take the study.
        """
        context.store.mkdir(parents=True, exist_ok=True)
        with _connect(self.address) as client:
            _try_out(client, context)
            yield _Cluster(client, context)


class _Cluster(Pool):
    def __init__(self, client: Client, context: StudyContext):
        self.client, self.context = client, context
        self.running = dict[str, Any]()  # task key → future
        self.places = dict[str, str]()  # task key → address of the worker that started it
        self.shortages = dict[str, int]()  # task key → how often memory ran out
        self.heard: queue.SimpleQueue[tuple[str, Message]] = queue.SimpleQueue()
        client.subscribe_topic(_TOPIC, lambda event: self.heard.put((event[1][0], Message(*event[1][1]))))

    def has_room(self, task: Task) -> bool:
        return True  # the scheduler queues what does not fit

    def start(self, task: Task, needs: dict[str, Task]) -> None:
        name = f"{task.kind}-{task.key[:16]}"
        # Each task carries the context: what only workers keep is lost with the last of them.
        self.running[task.key] = self.client.submit(_remote, self.context, task, needs, key=name, pure=False)

    def messages(self, seconds: float) -> Iterator[tuple[str, Message]]:
        """See `Pool`.

        Raises:
            RunFailed: the scheduler went away.
        """
        from distributed import wait

        if self.client.status != "running":
            raise RunFailed("the Dask scheduler went away; repeat the command to continue where it stopped")
        with contextlib.suppress(TimeoutError):
            wait(list(self.running.values()), timeout=seconds, return_when="FIRST_COMPLETED")
        while not self.heard.empty():
            key, message = self.heard.get()
            if message.kind == "started":
                self.places[key] = message.text
            yield key, message
        for key in [key for key, future in self.running.items() if future.done()]:
            message = _outcome(self.running.pop(key))
            if message.kind == "wrong input":
                self.client.cancel(list(self.running.values()))
            elif message.kind in ("failed", "out of memory"):
                self._renew(self.places.get(key, ""))  # a GPU may be of no use to its process any more
            if message.kind == "out of memory":
                self.shortages[key] = self.shortages.get(key, 0) + 1
                again = self.shortages[key] < ATTEMPTS
                message = Message("died") if again else Message("failed", message.text)
            yield key, message

    def give_up(self, key: str) -> bool:
        place = self.places.get(key, "")
        if self.running[key].key not in self.client.processing().get(place, ()):
            return False  # its worker died, and no other one has taken the task yet
        self.client.cancel([self.running.pop(key)])
        self._renew(place)
        return True

    def _renew(self, place: str) -> None:
        """Restart the process of a worker."""
        with contextlib.suppress(ValueError, TimeoutError):  # a worker without a nanny takes no other task
            self.client.restart_workers([place], timeout=_RESTART, raise_for_error=False)


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise InputError(
            "--executor dask: the package distributed is not installed; pip install 'strokereg[cluster]'"
        ) from error
    try:
        return Client(f"tcp://{address}", timeout=_ANSWER)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--executor dask://{address}: no Dask scheduler answers there; start one with 'dask scheduler'"
        ) from error


def _try_out(client: Client, context: StudyContext) -> None:
    """Send the context to every worker once, to see that they can take it."""
    try:
        client.scatter(context, broadcast=True)
    except Exception as error:  # Dask raises plain exceptions with the worker's error as text
        raise InputError(
            f"--executor dask: its workers cannot take the study ({error}); install the same strokereg and plugins "
            "on all of them, and start at least one"
        ) from error


def _outcome(future: Any) -> Message:
    """How a task ended."""
    from distributed import KilledWorker

    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, KilledWorker):
        return Message("failed", DIED)
    return failure(error)


def _remote(context: StudyContext, task: Task, needs: dict[str, Task]) -> Message:
    """Do a task on a worker that fits."""
    from distributed import get_worker

    worker = get_worker()
    if worker.state.nthreads != 1:
        # Seeds and threads belong to a process: two tasks in one would disturb each other.
        return Message("wrong input", "a Dask worker has several threads; start more workers with --nthreads 1 instead")
    if not context.store.is_dir():
        return Message(
            "wrong input",
            f"the Dask worker on {socket.gethostname()} does not see {context.store}; put --out, the cohort and "
            "STROKEREG_CACHE on a disk that all workers share under one path",
        )

    def send(message: Message) -> None:
        worker.log_event(_TOPIC, [task.key, list(message)])

    send(Message("started", worker.address))
    return attempt(context, task, needs, perform, send)
