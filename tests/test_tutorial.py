"""docs/writing-a-plugin.md, followed word for word in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "writing-a-plugin.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- (?P<what>file: \S+|run) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)


@pytest.mark.slow
def test_the_tutorial_holds(tmp_path):
    pytest.importorskip("setuptools", reason="setuptools, which builds without a net, is not installed")
    tools, site, desk = tmp_path / "tools", tmp_path / "site", tmp_path / "desk"
    for folder in (tools, site, desk):
        folder.mkdir()
    python = f'#!/bin/sh\nexec "{sys.executable}" -m'
    # What a user has on the path; pip installs into a folder of this test, and asks no net.
    offline = f'--no-deps --no-build-isolation --no-index --target "{site}"'
    for name, command in {
        "strokereg": f'{python} strokereg "$@"\n',
        "pytest": f'{python} pytest -p no:cacheprovider "$@"\n',
        "pip": f'{python} pip --disable-pip-version-check -q "$@" {offline}\n',
    }.items():
        (tools / name).write_text(command)
        (tools / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)]),
    }
    said = []
    for block in BLOCK.finditer(PAGE):
        what, kind, text = block["what"] or "", block["kind"], block["text"]
        if what.startswith("file: "):
            (desk / what.removeprefix("file: ")).write_text(text)
            continue
        words = ["sh", "-ec", text] if kind == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(
            words, cwd=desk, env=environment, capture_output=True, text=True, timeout=550, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        said.append(done.stdout)
    listed, checked, compared, _, installed, tested = said
    assert listed.startswith("mynet\ttranslator\t2D\ttwo convolutions, L1 only\tmynet.py sha256:")
    assert checked.count("\n") == 21
    assert "FAILED" not in checked + installed
    assert "mynet, clinical + synthetic" in compared
    assert "mynet, clinical + synthetic" in installed
    assert " passed" in tested
