"""What every worker process owes: to end with the process that started it."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Make this worker end when its parent ends, however that ends; an initializer for process pools.

    A parent that is killed cannot tell its workers to stop: they would wait for work for ever.
    """
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
