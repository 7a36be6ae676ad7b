"""Work in several processes: progress, errors, and workers that end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest

from strokereg.core.storage.workers import map_in_threads, process_context, run_in_workers
from strokereg.registry.errors import InputError, RunFailed

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


def write(path: Path) -> None:
    if path.name == "wrong":
        raise InputError(f"{path}: is wrong")
    if path.name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name == "ended":
        os._exit(3)
    path.write_text(str(os.getpid()))


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_is_done_and_counted(tmp_path, workers):
    done = []
    run_in_workers(write, [tmp_path / name for name in "abc"], tmp_path, workers, done.append)
    assert done == [1, 2, 3]
    others = {int(path.read_text()) for path in tmp_path.iterdir()} - {os.getpid()}
    assert (len(others) > 0) == (workers > 1)


def test_without_items_nothing_is_done(tmp_path):
    run_in_workers(write, [], tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_error_of_an_item_is_raised(tmp_path, workers):
    with pytest.raises(InputError, match="wrong: is wrong"):
        run_in_workers(write, [tmp_path / "wrong", tmp_path / "b"], tmp_path, workers)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_worker_is_one_sentence(tmp_path):
    with pytest.raises(RunFailed, match=f"{tmp_path}: a worker process was killed, most likely because memory"):
        run_in_workers(write, [tmp_path / "killed", tmp_path / "b"], tmp_path, 2)
    with pytest.raises(RunFailed, match=f"{tmp_path}: a worker process ended unexpectedly; call again with fewer"):
        run_in_workers(write, [tmp_path / "ended", tmp_path / "b"], tmp_path, 2)


SCRIPT = """
from pathlib import Path
from strokereg.core.storage.workers import run_in_workers

run_in_workers(print, [1, 2], Path("out"), 2)
"""


def test_a_script_without_a_main_guard_is_one_sentence(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    run = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "InputError: worker processes cannot start" in run.stderr
    assert "call strokereg under if __name__ == '__main__':" in run.stderr
    assert "memory" not in run.stderr


def test_threads_keep_the_order_and_raise_the_error():
    assert map_in_threads(str, range(9)) == [str(number) for number in range(9)]
    with pytest.raises(ZeroDivisionError):
        map_in_threads(lambda number: 1 / number, [1, 0])


def test_where_no_server_can_start_each_worker_is_a_new_python(monkeypatch):
    """As with a path for temporary files that is too long for a socket."""

    def refuse():
        raise OSError("AF_UNIX path too long")

    before = dict(os.environ)
    monkeypatch.setattr(forkserver, "ensure_running", refuse)
    assert process_context([]).get_start_method() == "spawn"
    assert dict(os.environ) == before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no server")
def test_the_server_finds_modules_where_this_process_does(monkeypatch):
    seen = []
    monkeypatch.setattr(forkserver, "ensure_running", lambda: seen.append(dict(os.environ)))
    monkeypatch.setattr(sys, "path", ["", "/here", "/there"])
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    before = dict(os.environ)
    assert process_context([]).get_start_method() == "forkserver"
    assert seen == [{**before, "PYTHONPATH": f"/here{os.pathsep}/there", "PYTHONSAFEPATH": "1"}]
    assert dict(os.environ) == before
