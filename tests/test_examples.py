"""What lies in `examples/` is installed, listed and keeps the contract."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from strokereg.registry.catalogue import add_plugin, forget
from strokereg.registry.local import FILES
from strokereg.testing import suites_of

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch):
    monkeypatch.setenv(FILES, "")
    yield
    forget()


def faults(*suites):
    outcomes = [outcome for suite in suites for outcome in suite]
    assert outcomes
    return [outcome.message for outcome in outcomes if outcome.status == "failed"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "name", "width"), [("monai_unet", "monai-unet", 4), ("monai_segresnet", "segresnet", 8)]
)
def test_a_network_of_monai_conforms_in_40_lines(file, name, width):
    path = EXAMPLES / f"{file}.py"
    assert len(path.read_text().splitlines()) <= 40
    add_plugin(path)
    assert faults(*suites_of(name, dims=(2,), options={"width": width})) == []


@pytest.mark.slow
def test_the_finished_plugin_installs_and_conforms(tmp_path, monkeypatch):
    pytest.importorskip("setuptools", reason="setuptools, which builds without a net, is not installed")
    source, site = tmp_path / "strokereg-acme", tmp_path / "site"
    shutil.copytree(EXAMPLES / "strokereg-acme", source)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(site), str(source)], check=True, timeout=240)
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    listed = subprocess.run(
        [sys.executable, "-m", "strokereg", "models", "--strict", "residual-*"],
        env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    row = "residual-dense\ttranslator\t2D, 3D\tresidual dense blocks, hinge + L1\tstrokereg-acme 0.1.0\n"
    assert listed.stdout == row
    monkeypatch.syspath_prepend(site)
    forget()
    small = {"width": 4, "growth": 4, "layers": 2, "blocks": 1, "ndf": 4}
    assert faults(*suites_of("residual-dense", dims=(2,), options=small)) == []
