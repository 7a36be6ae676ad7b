"""Workers end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from strokereg.core.storage.workers import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def lives(pid: int) -> bool:
    """True while a process runs; one that only waits to be collected by init does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # no such process, or gone while its state was read
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_worker_does_not_outlive_a_killed_parent(tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert lives(worker)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    limit = time.monotonic() + 20
    while lives(worker) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not lives(worker)
