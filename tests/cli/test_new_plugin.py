"""`strokereg new-plugin`: what it writes is installed, listed, and passes its own tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from strokereg.cli.main import main
from strokereg.registry.specs import ROLES

PIP = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]


@pytest.mark.slow
def test_a_plugin_of_every_role_installs_and_passes_its_own_tests(tmp_path, monkeypatch, capsys):
    pytest.importorskip("setuptools", reason="setuptools, which builds without a net, is not installed")
    monkeypatch.chdir(tmp_path)
    for role in (*map(str, ROLES), "reader"):
        assert main(["new-plugin", f"my-{role}", "--role", role]) == 0
    folders = capsys.readouterr().out.split()
    assert folders == [f"strokereg-my-{role}" for role in (*ROLES, "reader")]
    paths = [f"./{folder}" for folder in folders]
    subprocess.run([*PIP, "--disable-pip-version-check", "--target", "site", *paths], check=True, timeout=240)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])}

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", *words], env=environment, capture_output=True, text=True, timeout=580, check=False
        )

    listed = run("strokereg", "models", "--strict", "my-*")
    assert listed.returncode == 0, listed.stderr
    assert sorted(line.split("\t")[0] for line in listed.stdout.splitlines()) == sorted(f"my-{role}" for role in ROLES)
    assert "my-reader" in run("strokereg", "data", "readers").stdout
    # In one process for the sake of time, and the export to ONNX, half of that, for one of them in two dimensions only.
    words = ["-q", "--import-mode=importlib", "-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider"]
    tested = run("pytest", *words, "-k", "not onnx or my-generator-2D", *(f"{folder}/tests" for folder in folders))
    assert tested.returncode == 0, tested.stdout[-3000:]
    assert " passed" in tested.stdout


@pytest.mark.parametrize("role", ["translator", "reader"])
def test_the_files_are_complete_and_in_order(tmp_path, capsys, role):
    assert main(["new-plugin", "my-net", "--role", role, "--out", str(tmp_path / "deep" / "plugin")]) == 0
    module = "reader" if role == "reader" else "model"
    root = Path(capsys.readouterr().out.strip())
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()) == [
        ".github/workflows/test.yml",
        ".gitignore",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "strokereg_my_net/__init__.py",
        f"strokereg_my_net/{module}.py",
        *["tests/test_conformance.py"] * (role != "reader"),
        "tests/test_plugin.py",
    ]
    assert f'factory="strokereg_my_net.{module}:MyNet"' in (root / "strokereg_my_net" / "__init__.py").read_text()
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "120", str(root)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My_Net", "a name is lower-case words joined by hyphens"),
        ("2net", "a name is lower-case words"),
        ("pix2pix", "the name is taken by strokereg"),
        ("mynet", "exists and is not empty"),
    ],
)
def test_wrong_input_is_one_sentence_and_writes_nothing(tmp_path, monkeypatch, capsys, name, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strokereg-mynet").mkdir()
    (tmp_path / "strokereg-mynet" / "notes.txt").write_text("mine")
    assert main(["new-plugin", name]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["strokereg-mynet"]
