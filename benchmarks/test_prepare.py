"""A cohort of the size of ISLES'22 (250 cases of 112×112×73), checked and prepared by the command, and once more.

Making the cohort takes some minutes and 2.5 GB; STROKEREG_BENCH_CASES=25 makes a smaller one.

pytest benchmarks/test_prepare.py
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CASES = int(os.environ.get("STROKEREG_BENCH_CASES", "250"))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from strokereg.core.simulate import Simulation, simulate_cohort

    return simulate_cohort(tmp_path_factory.mktemp("simulated") / "cohort", Simulation(CASES))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def prepare(cohort: Path, cache: Path) -> None:
    words = [sys.executable, "-m", "strokereg", "data", "prepare", str(cohort), "--spacing", "2"]
    subprocess.run(words, env={**os.environ, "STROKEREG_CACHE": str(cache)}, check=True, capture_output=True)


def test_first(benchmark: Any, cohort: Path, cache: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    benchmark.pedantic(prepare, (cohort, cache), rounds=1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    prepared = len(list(cache.rglob("image.npy")))
    benchmark.extra_info |= {
        "cases checked": CASES,
        "cases prepared": prepared,
        "CPU seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
    }
    assert 0 < prepared < CASES  # test cases are evaluated on their own grid


def test_second(benchmark: Any, cohort: Path, cache: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")}
    benchmark.pedantic(prepare, (cohort, cache), rounds=5, warmup_rounds=1)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")} == before
