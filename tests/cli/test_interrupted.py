"""A study that is interrupted down ten times, at moments drawn at random, finds what one finds that ran through."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from strokereg.cli.main import run
from strokereg.core.storage.workers import process_context

TIMES = 10
LIMIT = 900.0  # seconds that one call may take on a very busy machine


def study(cohort: Path, place: Path) -> None:
    """The study in a folder and with a cache of its own, so that nothing is found elsewhere, in its own group."""
    os.setsid()
    place.mkdir(exist_ok=True)
    os.chdir(place)
    os.environ["STROKEREG_CACHE"] = str(place / "cache")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    words = ["compare", "--preset", "smoke", "--models", "pix2pix,carvemix", "--data", str(cohort), "--workers", "1"]
    words += ["--mixed-only", "--steps", "translator=230", "--steps", "segmenter=20", "--out", "out"]
    sys.argv = ["strokereg", *words]  # 230: beyond a checkpoint
    run()


@contextlib.contextmanager
def begun(cohort: Path, place: Path) -> Iterator[BaseProcess]:
    """A process with the study, a fork of a server that has imported torch."""
    process = process_context(("strokereg.cli.compare", "strokereg.core.study.compare")).Process(
        target=study, args=(cohort, place)
    )
    process.start()
    try:
        while process.exitcode is None and os.getpgid(process.pid) != process.pid:
            time.sleep(0.01)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):  # what a failing test would leave behind
            os.killpg(process.pid, signal.SIGKILL)
        process.join()


def ended(process: BaseProcess, seconds: float) -> bool:
    """Whether the process ends in this time."""
    process.join(seconds)
    return process.exitcode is not None


def written(place: Path) -> set[tuple[str, int]]:
    """Every file that is there, with the time at which it was last written."""
    found = set()
    for folder, _, names in os.walk(place):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found.add((path, os.stat(path).st_mtime_ns))
            except OSError:  # gone since: a temporary file
                continue
    return found


def strike(process: BaseProcess, place: Path, after: int, delay: float, blow: signal.Signals) -> bool:
    """Wait for so many written files and then a little, strike the whole group; False where the study was faster."""
    before, limit = written(place), time.monotonic() + LIMIT
    while process.exitcode is None and len(written(place) - before) < after:
        assert time.monotonic() < limit
        time.sleep(0.1)
    if ended(process, delay):
        return False
    os.killpg(process.pid, blow)
    assert ended(process, LIMIT)
    return process.exitcode != 0


def findings(place: Path) -> dict:
    """`results.json` but for the seconds that each part took."""
    found = json.loads((place / "out" / "results.json").read_text(encoding="utf-8"))
    del found["timing"]
    return found


def moments(files: int) -> Iterator[tuple[int, float, signal.Signals]]:
    """Seeded: after how many files, how much later, and by what; together they see about the whole study."""
    rng = random.Random(5)
    while True:
        blow = rng.choice((signal.SIGKILL, signal.SIGINT))
        yield rng.randrange(0, max(2, files // 10)), rng.uniform(0.0, 0.6), blow


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_ten_interruptions_change_nothing(small_cohort: Path, tmp_path: Path) -> None:
    whole, interrupted = tmp_path / "whole", tmp_path / "interrupted"
    with begun(small_cohort, whole) as process:
        assert ended(process, LIMIT)
        assert process.exitcode == 0
    draw, landed = moments(len(written(whole))), []
    for after, delay, blow in (next(draw) for _ in range(TIMES)):
        with begun(small_cohort, interrupted) as process:
            if strike(process, interrupted, after, delay, blow):
                landed.append(blow)
    assert len(landed) == TIMES
    assert set(landed) == {signal.SIGKILL, signal.SIGINT}
    with begun(small_cohort, interrupted) as process:
        assert ended(process, LIMIT)
        assert process.exitcode == 0
    assert findings(interrupted) == findings(whole)
