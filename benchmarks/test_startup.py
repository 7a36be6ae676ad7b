"""How long the first answer takes, beside an empty Python and beside `import torch`: the table shows the ratios."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = {
    "python, nothing": ["-c", "pass"],
    "import strokereg": ["-c", "import strokereg"],
    "strokereg --help": ["-m", "strokereg", "--help"],
    "strokereg models": ["-m", "strokereg", "models"],
    "strokereg models --json": ["-m", "strokereg", "models", "--json"],
    "import strokereg.export.runtime": ["-c", "import strokereg.export.runtime"],
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
