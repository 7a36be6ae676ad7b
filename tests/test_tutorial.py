"""The tutorials, followed word for word in an empty folder, and the commands of the README."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from strokereg.cli.main import main

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
BLOCK = re.compile(r"(?:<!-- (?P<what>file: \S+|run) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)


@pytest.fixture
def follow(tmp_path):
    """Save the files and run the commands of a tutorial; gives what each block printed."""
    tools, site, desk = tmp_path / "tools", tmp_path / "site", tmp_path / "desk"
    for folder in (tools, site, desk):
        folder.mkdir()
    python = f'#!/bin/sh\nexec "{sys.executable}" -m'
    # What a user has on the path; pip installs into a folder of this test, without a network.
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

    def run(name: str) -> list[str]:
        printed = []
        for block in BLOCK.finditer((TUTORIALS / name).read_text(encoding="utf-8")):
            what, kind, text = block["what"] or "", block["kind"], block["text"]
            if what.startswith("file: "):
                (desk / what.removeprefix("file: ")).write_text(text)
                continue
            words = ["sh", "-ec", text] if kind == "sh" else [sys.executable, "-c", text]
            done = subprocess.run(
                words, cwd=desk, env=environment, capture_output=True, text=True, timeout=550, check=False
            )
            assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            printed.append(done.stdout)
        return printed

    return run


@pytest.mark.slow
def test_the_first_plugin(follow):
    pytest.importorskip("setuptools", reason="setuptools, which builds without a network, is not installed")
    listed, checked, compared, _, installed, tested = follow("first-plugin.md")
    assert listed.startswith("mynet\ttranslator\t2D\ttwo convolutions, L1 loss\tmynet.py sha256:")
    assert checked.count("\n") == 22
    assert "FAILED" not in checked
    assert "mynet, clinical + synthetic" in compared
    assert "mynet\ttranslator\t2D, 3D" in installed
    assert " passed" in tested


@pytest.mark.slow
def test_the_first_study(follow, tmp_path):
    first, _, second, again = follow("first-study.md")
    assert "spade, clinical + synthetic" in first
    assert "carvemix, clinical + synthetic" in second
    assert "carvemix, clinical + synthetic" in again
    desk = tmp_path / "desk"
    assert all(
        (desk / name).is_file() for name in ("tiny/report.html", "cohort.png", "study.toml", "study/report.html")
    )


@pytest.mark.slow
def test_the_deployment_of_a_segmenter(follow, tmp_path):
    *_, found = follow("deploy-a-segmenter.md")
    assert re.fullmatch(r"\d+\.\d ml in \d+ lesions, on .+\n", found)
    desk = tmp_path / "desk"
    assert (desk / "lesion.nii.gz").is_file()
    assert len(list((desk / "masks").glob("*.png"))) == len(list((desk / "masks").glob("*_mask.nii.gz"))) == 5


def test_the_commands_of_the_readme_one_after_the_other(small_cohort, tmp_path, monkeypatch):
    """In one folder and in order; trainings and studies are cut short, and the user's own data stand in."""
    monkeypatch.chdir(tmp_path)
    (scan,) = small_cohort.glob("sub-0001/dwi/*_dwi.nii.gz")
    (tmp_path / "scans").mkdir()
    shutil.copy(scan, "scans")
    shorter = {
        "train": ["--steps", "2", "--set", "widths=4,8"],
        "compare": ["--preset", "smoke", "--data", "cohort", "--dry-run"],
    }
    source = tmp_path / "source"  # without a split, as public sets are
    shutil.copytree(small_cohort, source, ignore=shutil.ignore_patterns("split.tsv"))
    given = {"/data/ISLES-2022": str(source)}
    done = []
    for block in BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8").partition("## Your own data")[2]):
        if block["what"]:
            (tmp_path / block["what"].removeprefix("file: ")).write_text(block["text"])
        for line in block["text"].splitlines() if block["kind"] == "bash" else ():
            words = [given.get(word, word) for word in shlex.split(line, comments=True)]
            if not done:
                assert words == ["source", ".venv/bin/activate"]
            else:
                assert words[0] == "strokereg"
                extra = next((more for name, more in shorter.items() if name in words), [])
                assert main([*words[1:], *extra]) == 0, line
            done.append(words)
    assert len(done) == 10
    assert (tmp_path / "masks" / "sub-0001_desc-lesion_mask.png").is_file()


@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*.md")), ids=lambda page: page.stem)
def test_a_tutorial_begins_in_the_environment_that_make_demo_left(page):
    start = page.read_text(encoding="utf-8").partition("\n## ")[0]
    assert "`source .venv/bin/activate`" in start or "strokereg [installed](first-study.md)" in " ".join(start.split())
