"""Work without any training, done or failed as a task's name says; importable by worker processes."""

from __future__ import annotations

import os
import signal
import time

from strokereg.registry.errors import InputError


def is_done(folder, task):
    return (folder / f"{task.key}.done").exists()


def begun(folder, key):
    """One empty file an attempt: made at once or not at all, so a worker killed just then leaves no half count."""
    return sorted(folder.glob(f"{key}.begun-*"))


def work(folder, task, needs, report):
    attempt = len(begun(folder, task.key)) + 1
    (folder / f"{task.key}.begun-{attempt}").touch(exist_ok=False)
    report(1, task.steps, {"loss": 0.5})
    match task.key:
        case "deadly":
            if attempt == 1:
                wait_until(lambda: begun(folder, "patient"))  # so that both are at work when this one dies
            os.kill(os.getpid(), signal.SIGKILL)
        case "patient":  # at work until the other has died; then its successor would get the machine to itself
            wait_until(lambda: begun(folder, "deadly"))
            time.sleep(0.5)
        case "mortal":
            if attempt == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            others = {path.name.split(".")[0] for path in folder.glob("*.begun-*")} - {"mortal"}
            if all((folder / f"{other}.done").exists() for other in others):
                (folder / "mortal.alone").touch()
        case "leaves":
            os._exit(1)
        case "hangs":
            time.sleep(600)
        case "raises":
            raise ValueError("first line\nsecond line")
        case "wrong":
            raise InputError("scan.nii.gz: is empty; give another")
    (folder / f"{task.key}.done").touch()


def wait_until(holds, limit=120.0):
    """Wait; a worker may take long to start on a busy machine, and a broken test must still end."""
    end = time.monotonic() + limit
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
