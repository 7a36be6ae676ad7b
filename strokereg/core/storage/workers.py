"""Workers: one function over many items, in processes or in threads, and processes that end with their parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from strokereg.registry.errors import InputError, RunFailed

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

Item = TypeVar("Item")
Result = TypeVar("Result")

NO_START = (
    "worker processes cannot start (the reason stands above); in a script of your own, call strokereg under "
    "if __name__ == '__main__':, because each worker imports the script"
)


def run_in_workers(
    function: Callable[[Item], Any],
    items: Iterable[Item],
    out: Path,
    workers: int | None = None,
    on_done: Callable[[int], None] = lambda done: None,
) -> None:
    """Call a function on each item, in several processes; with one worker or one item, in this process.

    The first error that a call raises is raised here, and items that were not started are dropped.

    Args:
        function: can be pickled, as can the items. It writes its result to disk; what it returns is ignored.
        out: the output folder, named in the error message.
        workers: number of processes; None for one per core.
        on_done: called with the number of finished items after each item.

    Raises:
        InputError: the workers cannot start, because the script that called has no main guard.
        RunFailed: a worker process was killed, for instance because memory ran out.
    """
    waiting = list(items)
    workers = min(workers or count_cores(), len(waiting))
    if workers < 2:
        for done, item in enumerate(waiting, start=1):
            function(item)
            on_done(done)
        return
    spawn = multiprocessing.get_context("spawn")
    started = spawn.Event()
    with ProcessPoolExecutor(workers, spawn, _start, (started,)) as pool:
        before = set(multiprocessing.active_children())
        try:
            jobs = [pool.submit(function, item) for item in waiting]
            processes = set(multiprocessing.active_children()) - before
            for done, job in enumerate(as_completed(jobs), start=1):
                job.result()
                on_done(done)
        except BrokenProcessPool as error:
            if not started.is_set():
                raise InputError(NO_START) from error
            pool.shutdown(wait=True)
            killed = any(process.exitcode == -signal.SIGKILL for process in processes) if os.name != "nt" else False
            cause = "was killed, most likely because memory ran out" if killed else "ended unexpectedly"
            raise RunFailed(f"{out}: a worker process {cause}; call again with fewer --workers to continue") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start(started: Event) -> None:
    started.set()
    end_with_parent()


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Call a function on each item in a few threads, for work that mostly reads files. Results are in order."""
    with ThreadPoolExecutor(max_workers=min(4, count_cores())) as pool:
        return list(pool.map(function, items))


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_context(preload: Sequence[str]) -> SpawnContext | ForkServerContext:
    """The way in which worker processes start.

    On Linux they are forks of a server, which imports the modules of `preload` once; Python 3.14 does so by default. A
    worker then starts at once, and all share the memory of these modules. Its environment variables are those that the
    server began with. Elsewhere, or where the server cannot start, every worker is a new Python.
    """
    if sys.platform == "linux":
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(preload))
        with contextlib.suppress(OSError):  # the path of the folder for temporary files is too long for a socket
            _start_server()
            return context
    return multiprocessing.get_context("spawn")


def _start_server() -> None:
    """Start the server unless it is running; it finds the modules that this process would find, in the same places."""
    changes = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def end_with_parent() -> None:
    """Make this worker process end when its parent ends, even if the parent is killed.

    Pass it as the initializer of a process pool. A killed parent cannot stop its workers, which would wait for ever.
    """
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
