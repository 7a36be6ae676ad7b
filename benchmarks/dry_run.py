"""How near `strokereg compare --dry-run` comes: its estimate, then the study itself, with a fresh cache.

    flock /tmp/bench.lock python benchmarks/dry_run.py [words for strokereg compare]

Prints both, kind of work by kind of work, and the load of the machine before and after each: an estimate is of the
machine as it is at that moment, so on one that others use too the two may differ for no fault of either.
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


def main() -> None:
    """Estimate, run, compare."""
    words = sys.argv[1:] or WORDS
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
    print(f"{'work':30} {'tasks':>5} {'estimated s each':>16} {'taken s each':>12} {'ratio':>6}")
    for part in estimate["work"]:
        name = f"{part['kind']} {part['architecture']}"
        mean = sum(spent[name]) / len(spent[name])
        print(f"{name:30} {part['tasks']:5} {part['seconds']:16.2f} {mean:12.2f} {part['seconds'] / mean:6.2f}")
    ratio = estimate["seconds"] / taken
    print(f"\nestimated {estimate['seconds']:.0f} s, taken {taken:.0f} s: ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
