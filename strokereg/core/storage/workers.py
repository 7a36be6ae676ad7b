"""Workers: one function over many items, in processes or in threads, and processes that end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from strokereg.registry.errors import RunFailed

Item = TypeVar("Item")
Result = TypeVar("Result")


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
        RunFailed: a worker process was killed, for instance because memory ran out.
    """
    waiting = list(items)
    workers = min(workers or os.cpu_count() or 1, len(waiting))
    if workers < 2:
        for done, item in enumerate(waiting, start=1):
            function(item)
            on_done(done)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        try:
            for done, job in enumerate(as_completed([pool.submit(function, item) for item in waiting]), start=1):
                job.result()
                on_done(done)
        except BrokenProcessPool as error:
            raise RunFailed(
                f"{out}: a worker process died, perhaps for lack of memory; call again with fewer --workers to continue"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Call a function on each item in a few threads, for work that mostly reads files. Results are in order."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


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
