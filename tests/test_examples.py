"""What lies in `examples/` is installed, listed and keeps the contract."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from strokereg.cli.compare import compare
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.storage.requirements import REQUIREMENTS, write_requirements
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
    ("file", "name", "options", "package"),
    [
        ("monai_unet", "monai-unet", {"width": 4}, "monai"),
        ("monai_segresnet", "segresnet", {"width": 8}, "monai"),
        ("smp_unet", "smp-unet", {}, "segmentation_models_pytorch"),
    ],
)
def test_somebody_elses_network_conforms_in_40_lines(file, name, options, package):
    pytest.importorskip(package, reason=f"{package}, whose network the example wraps, is not installed")
    path = EXAMPLES / f"{file}.py"
    assert len(path.read_text().splitlines()) <= 40
    add_plugin(path)
    assert faults(*suites_of(name, dims=(2,), options=options)) == []


@pytest.fixture(scope="module")
def acme(tmp_path_factory):
    """`acme(*words)` runs strokereg with the finished plugin installed; `acme.site` is where it lies."""
    pytest.importorskip("setuptools", reason="setuptools, which builds without a net, is not installed")
    source, site = tmp_path_factory.mktemp("acme") / "strokereg-acme", tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLES / "strokereg-acme", source)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(site), str(source)], check=True, timeout=240)
    path = os.pathsep.join([str(site), *filter(None, sys.path)])

    def run(*words, module="strokereg"):
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, words)],
            env={**os.environ, "PYTHONPATH": path}, check=False, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run.site = site
    return run


@pytest.mark.slow
def test_the_finished_plugin_installs_and_conforms(acme, monkeypatch):
    row = "residual-dense\ttranslator\t2D, 3D\tresidual dense blocks, hinge + L1\tstrokereg-acme 0.1.0\n"
    assert acme("models", "--strict", "residual-*") == row
    monkeypatch.syspath_prepend(acme.site)
    forget()
    small = {"width": 4, "growth": 4, "layers": 2, "blocks": 1, "ndf": 4}
    assert faults(*suites_of("residual-dense", dims=(2,), options=small)) == []


@pytest.mark.slow
def test_the_finished_plugin_is_compared(acme, small_cohort, tmp_path):
    steps = [word for role in ("generator", "translator", "segmenter") for word in ("--steps", f"{role}=2")]
    small = [
        word for option in ("width", "growth", "blocks", "ndf") for word in ("--set", f"residual-dense.{option}=2")
    ]
    words = ["--preset", "smoke", "--models", "residual-dense", "--data", small_cohort, "--out", tmp_path / "study"]
    told = json.loads(acme("compare", *words, *steps, *small, "--json"))
    assert told["failures"] == []
    assert "residual-dense, clinical + synthetic" in {arm["name"] for arm in told["arms"] if arm["seeds"]}
    assert told["provenance"]["versions"]["strokereg-acme"] == "0.1.0"


@pytest.mark.slow
def test_the_reader_of_the_finished_plugin_imports(acme, phantom, tmp_path):
    """Real scans under the names of ISLES 2015; the layout is recognised among those of all built-in readers."""
    for number in (1, 2, 10):
        subject = f"sub-{min(number, 3):02}"
        scan = phantom / subject / "dwi" / f"{subject}_dwi.nii.gz"
        mask = phantom / "derivatives" / "truth" / subject / "dwi" / f"{subject}_desc-lesion_mask.nii.gz"
        for kind, image in (("XX.O.MR_DWI", scan), ("XX.XX.OT", mask)):
            name = f"VSD.Brain.{kind}.{70610 + number}"
            path = tmp_path / "SISS2015_Training" / str(number) / name / f"{name}.nii"
            path.parent.mkdir(parents=True)
            volume = read_volume(image)
            write_volume(path, volume.data, volume.affine)
    assert "isles15" in acme("data", "readers")
    acme("data", "import", tmp_path / "SISS2015_Training", "--out", tmp_path / "cohort", "--set", "prefix=siss")
    cases = open_cohort(tmp_path / "cohort").cases
    assert [case.name for case in cases] == ["sub-siss1", "sub-siss10", "sub-siss2"]
    assert all(case.mask is not None for case in cases)
    own = EXAMPLES / "strokereg-acme" / "tests" / "test_isles15.py"
    assert "2 passed" in acme("-q", "-c", os.devnull, "-p", "no:cacheprovider", own, module="pytest")


def test_the_container_recipe_names_files_arguments_and_options_that_exist(tmp_path):
    """No container engine is at hand, so the recipe is held to what can be checked without one."""
    path = EXAMPLES / "Containerfile"
    text = path.read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line.strip()]
    assert {name for name, _ in steps} <= {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENTRYPOINT"}
    defaults = dict(rest.split("=") for name, rest in steps if name == "ARG" and "=" in rest)

    copies = [shlex.split(rest)[:-1] for name, rest in steps if name == "COPY"]
    ours = [file for words in copies if words[0] != "--from=study" for file in words]
    study = {file for words in copies if words[0] == "--from=study" for file in words[1:]}
    assert all((EXAMPLES.parent / file).exists() for file in ours)
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [project["readme"], *project["license-files"], "strokereg", "pyproject.toml"]
    assert {file.partition("/")[0] for file in needed} == set(ours)
    assert study == {REQUIREMENTS, "results.json", "study.toml"}
    assert tuple(map(int, defaults["PYTHON"].split("."))) >= (3, 11)

    (entry,) = (json.loads(rest) for name, rest in steps if name == "ENTRYPOINT")
    assert entry[:2] == ["strokereg", "compare"]
    given = compare.make_context("compare", entry[2:]).params
    assert (str(given["file"]), str(given["same_as"])) == ("study.toml", "results.json")

    build = shlex.split(re.search(r"docker (build .*)", text)[1])
    assert build[build.index("-f") + 1] == path.relative_to(EXAMPLES.parent).as_posix()
    assert build[build.index("--build-context") + 1] == "study=DIR"
    assert set(re.findall(r"--build-arg (\w+)=", text)) == set(defaults)

    write_requirements(tmp_path)
    (check,) = (rest for name, rest in steps if name == "RUN" and rest.startswith("grep"))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for python, code in ((version, 0), ("3.1", 1)):
        done = subprocess.run(["sh", "-c", check], cwd=tmp_path, env={**os.environ, "PYTHON": python}, check=False)
        assert done.returncode == code
