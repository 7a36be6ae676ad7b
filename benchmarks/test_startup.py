"""How long the first answer takes, beside an empty Python and beside `import torch`: the table shows the ratios."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[1] / "tests" / "fixtures" / "plugins"

COMMANDS = {
    "python, nothing": ["-c", "pass"],
    "import strokereg": ["-c", "import strokereg"],
    "strokereg --help": ["-m", "strokereg", "--help"],
    "strokereg models": ["-m", "strokereg", "models"],
    "strokereg models --json": ["-m", "strokereg", "models", "--json"],
    "import strokereg.export.runtime.segmenter": ["-c", "import strokereg.export.runtime.segmenter"],
    "import torch": ["-c", "import torch"],
}


@pytest.mark.benchmark(group="startup")
@pytest.mark.parametrize("name", COMMANDS)
def test_startup(name, benchmark):
    words = [sys.executable, *COMMANDS[name]]
    rounds = 3 if "torch" in name else 10
    benchmark.pedantic(
        subprocess.run, args=(words,), kwargs={"check": True, "stdout": subprocess.DEVNULL}, rounds=rounds,
        warmup_rounds=1,
    )  # fmt: skip


@pytest.mark.benchmark(group="startup")
@pytest.mark.parametrize("words", ["models", "models --broken"])
def test_with_every_broken_plugin(words, benchmark):
    """All faulty distributions of the tests at once, more than ten."""
    folders = [str(path) for path in PLUGINS.iterdir() if path.name != "heavy_hooks"]
    assert len(folders) > 12
    benchmark.pedantic(
        subprocess.run, args=([sys.executable, "-m", "strokereg", *words.split()],), rounds=10, warmup_rounds=1,
        kwargs={
            "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
            "env": os.environ | {"PYTHONPATH": os.pathsep.join([*folders, *filter(None, sys.path)])},
        },
    )  # fmt: skip
