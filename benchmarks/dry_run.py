"""How near `strokereg compare --dry-run` comes: its estimate, then the study itself, with a fresh cache.

    flock /tmp/bench.lock python benchmarks/dry_run.py [words for strokereg compare]
    python benchmarks/dry_run.py --cpu [words for strokereg compare]

The first prints seconds by the clock, and the load of the machine before and after: an estimate is of the machine as it
is at that moment, so where others use it too the two may differ for no fault of either. The second does the same work,
estimate and study, in this one process and counts its CPU seconds, which other programs hardly change; it says nothing
of how processes get in each other's way, nor of starting them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

WORDS = ["--preset", "smoke", "--models", "pix2pix,carvemix", "--cases", "3,all", "--seeds", "2", "--headroom"]
WORDS += ["--steps", "segmenter=200", "--steps", "translator=200", "--steps", "generator=100", "--synthetic-cases", "6"]


def run(words: list[str], place: Path) -> tuple[str, float]:
    """What a call prints on stdout, and how many seconds it takes."""
    environment = {**os.environ, "STROKEREG_CACHE": str(place / "cache")}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "strokereg", "compare", "--out", "out", "--json", *words],
        cwd=place, env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return done.stdout, time.perf_counter() - begun


def load() -> str:
    """Processes that wanted a core in the last minute, and cores."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def by_the_clock(words: list[str]) -> None:
    """Dry run and study as a user calls them."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        print(f"before: {load()}")
        said, dry = run([*words, "--dry-run"], place)
        estimate = json.loads(said)
        print(f"dry run: {dry:.0f} s; {load()}")
        said, taken = run(words, place)
        print(f"study: {taken:.0f} s; {load()}\n")
    spent: dict[str, list[float]] = defaultdict(list)
    for title, seconds in json.loads(said)["timing"].items():
        spent[" ".join(title.split()[:2])].append(seconds)
    guessed = {f"{part['kind']} {part['architecture']}": part["seconds"] for part in estimate["work"]}
    compare_kinds({name: [guessed[name]] * len(found) for name, found in spent.items()}, spent)
    print(f"\nestimated {estimate['seconds']:.0f} s, taken {taken:.0f} s: ratio {estimate['seconds'] / taken:.2f}")


def in_cpu_seconds(words: list[str]) -> None:
    """What the dry run measures and what the tasks take, both on this process's own clock."""
    from unittest import mock

    from strokereg.cli.compare import compare
    from strokereg.core.study import calibrate, executor
    from strokereg.core.study import tasks as work

    guessed: dict[str, list[float]] = defaultdict(list)
    spent: dict[str, list[float]] = defaultdict(list)

    def do(self, stage, tasks, callbacks):
        tasks = {task.key: task for task in tasks}
        costs: dict = {}
        for task in tasks.values():
            kind = calibrate.kind_of(task)
            needs = {key: tasks[key] for key in task.needs}
            costs[kind] = costs.get(kind) or calibrate.measure(stage, task, needs)
            guessed[f"{task.kind} {task.architecture}"].append(costs[kind].of(task))
        for task in tasks.values():
            work.perform(stage, task, {key: tasks[key] for key in task.needs}, lambda *said: None)
            spent[f"{task.kind} {task.architecture}"].append(work.outcome(stage, task)["seconds"])
        return {}

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(executor.LocalExecutor, "run", do):
        os.environ["STROKEREG_CACHE"] = str(Path(folder) / "cache")
        time.perf_counter = time.process_time
        compare.main([*words, "--workers", "1", "--out", str(Path(folder) / "out"), "--json"], standalone_mode=False)
    compare_kinds(guessed, spent, sys.stderr)
    both = [sum(sum(found) for found in times.values()) for times in (guessed, spent)]
    print(f"\nestimated {both[0]:.1f} CPU s, taken {both[1]:.1f}: ratio {both[0] / both[1]:.2f}", file=sys.stderr)


def compare_kinds(guessed: dict[str, list[float]], spent: dict[str, list[float]], file=sys.stdout) -> None:
    """A row for each kind of work."""
    print(f"{'work':30} {'tasks':>5} {'estimated s each':>16} {'taken s each':>12} {'ratio':>6}", file=file)
    for name, found in spent.items():
        mine, true = (sum(values) / len(values) for values in (guessed[name], found))
        print(f"{name:30} {len(found):5} {mine:16.2f} {true:12.2f} {mine / true:6.2f}", file=file)


def main() -> None:
    """Estimate, run, compare."""
    words = sys.argv[1:]
    if words[:1] == ["--cpu"]:
        in_cpu_seconds(words[1:] or WORDS)
    else:
        by_the_clock(words or WORDS)


if __name__ == "__main__":
    main()
