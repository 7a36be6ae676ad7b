"""`strokereg compare` as a user runs it: files, table, interruption, external cases, wrong input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

from strokereg.cli.main import main
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.report.results import Results
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.study import compare as study_module
from strokereg.core.train.tracking import VALIDATION_DICE
from tests.conftest import InProcess


def command(cohort, out, *more):
    words = ["compare", "--preset", "smoke", "--models", "pix2pix,spade", "--data", cohort, "--out", out, *more]
    return [sys.executable, "-m", "strokereg", *map(str, words)]


def findings(out: Path) -> dict:
    found = json.loads((out / "results.json").read_text())
    del found["timing"]
    found["provenance"].pop("command")
    return found


def outcomes(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*/outcome*.json")}


@pytest.fixture(scope="module")
def study(small_cohort, tmp_path_factory):
    """A finished smoke study and its output; it is the only one here with a tracker."""
    out = tmp_path_factory.mktemp("study") / "out"
    words = command(small_cohort, out, "--track", "tensorboard")
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return out, done


@pytest.mark.slow
def test_table_and_files(study):
    out, done = study
    results = Results.read(out / "results.json")
    assert [(arm.training, arm.translator) for arm in results.arms] == [
        ("clinical", None),
        ("synthetic", "pix2pix"),
        ("clinical + synthetic", "pix2pix"),
        ("synthetic", "spade"),
        ("clinical + synthetic", "spade"),
    ]
    assert all(len(arm.seeds[0].cases) == 3 for arm in results.arms)
    assert results.failures == []
    assert len((out / "results.csv").read_text().splitlines()) == 1 + 5 * 3
    page = (out / "report.html").read_text()
    assert page.count("data:image/png") > 20
    assert all(f"{arm.name}" in page for arm in results.arms)
    last = done.stdout.rstrip().splitlines()[-1]
    assert last == f"Report: {out / 'report.html'}"
    assert "best [mean ± sd]" in done.stdout
    assert "not clinical numbers" in done.stdout
    assert "Traceback" not in done.stderr
    assert all((out / "runs" / run.folder / "weights.safetensors").is_file() for run in results.runs)


@pytest.mark.slow
def test_the_tracker_logged_every_training(study):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out, _ = study
    results = Results.read(out / "results.json")
    events_folder = out / "tracking" / "tensorboard"
    assert {path.name for path in events_folder.iterdir()} == {run.folder for run in results.runs}
    segmenter = next(run for run in results.runs if run.role == "segmenter")
    events = EventAccumulator(str(events_folder / segmenter.folder))
    events.Reload()
    tags = events.Tags()["scalars"]
    assert set(tags) == {*segmenter.losses, VALIDATION_DICE}
    for loss, value in segmenter.losses.items():
        assert events.Scalars(loss)[-1].value == pytest.approx(value, rel=1e-4)


@pytest.mark.slow
def test_called_again_it_reruns_nothing(study, small_cohort):
    out, _ = study
    before, found = outcomes(out), findings(out)
    subprocess.run(command(small_cohort, out), capture_output=True, check=True)
    assert outcomes(out) == before
    assert findings(out) == found


@pytest.mark.slow
def test_judging_elsewhere_too_trains_nothing_again(study, small_cohort, real_data, tmp_path):
    out = shutil.copytree(study[0], tmp_path / "copy")
    weights = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/weights.safetensors")}
    external = real_data / "isles22"
    done = subprocess.run(
        command(small_cohort, out, "--external", external), capture_output=True, text=True, check=True
    )
    assert {path: path.stat().st_mtime_ns for path in out.glob("runs/*/weights.safetensors")} == weights
    results = Results.read(out / "results.json")
    assert all(list(arm.seeds[0].external) == ["sub-strokecase0009_ses-0001"] for arm in results.arms)
    assert "isles22, n = 1" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_killed_in_the_middle_and_called_again_it_finds_the_same(study, small_cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("STROKEREG_CACHE", str(tmp_path / "cache"))  # or all would be found in the other study
    out = tmp_path / "out"
    process = subprocess.Popen(command(small_cohort, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while len(outcomes(out)) < 3 and time.monotonic() < limit:
        time.sleep(0.02)
    workers = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = outcomes(out)
    assert 3 <= len(finished) < len(outcomes(study[0]))
    assert not (out / "results.json").exists()
    while any(map(running, workers)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not any(map(running, workers))  # workers end with their parent
    subprocess.run(command(small_cohort, out), capture_output=True, check=True)
    assert {path: at for path, at in outcomes(out).items() if path in finished} == finished
    assert findings(out) == findings(study[0])


def children(pid: int) -> list[int]:
    """Direct children of a process that work for it (Linux; none where there is no /proc)."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


def running(pid: int) -> bool:
    """True unless the process is gone, or a zombie that waits for init."""
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except OSError:
        return False


def drop_masks(root):
    for path in root.rglob("*desc-lesion_mask.nii.gz"):
        path.unlink()


def stray_label(root):
    path = next(root.rglob("sub-0001_dseg.nii.gz"))
    volume = read_volume(path)
    write_volume(path, np.where(volume.data == 3, 42, volume.data).astype(np.uint8), volume.affine)


def other_grid(root):
    path = open_cohort(root).part("test")[0].mask  # no training reads it, and yet it shows at once
    volume = read_volume(path)
    write_volume(path, volume.data[:-1].astype(np.uint8), volume.affine)


@pytest.mark.parametrize(
    ("fault", "words", "said"),
    [
        (None, ["--models", "pix2pics"], "no translator or mixer is named 'pix2pics' (did you mean pix2pix?)"),
        (None, ["--models", "carvmix"], "no translator or mixer is named 'carvmix' (did you mean carvemix"),
        (None, ["--models", "unet"], "'unet' is a segmenter, not a translator or mixer"),
        (None, ["--models", "carvemix", "--set", "carvemix.inner=2"], "carvemix: option inner='2'"),
        (None, ["--models", "lesion-paste", "--set", "lesion-paste.width=2"], "lesion-paste has no option 'width'"),
        (None, ["--generator", "carvemix"], "'carvemix' is a mixer, not a generator"),
        (None, ["--models", "pix2pix,pix2pix"], "twice"),
        (None, ["--preset", "quik"], "no preset 'quik' (did you mean quick?)"),
        (None, ["--set", "lr=1e-4"], "say whose option it is"),
        (None, ["--set", "pix2pix.lr=fast"], "pix2pix: option lr='fast'"),
        (None, ["--set", "spade.lr=1e-4", "--models", "pix2pix"], "spade is not in this study"),
        (None, ["--steps", "segmentor=5"], "no such role (did you mean segmenter"),
        (None, ["--cases", "1000"], "has fewer training cases; give --cases 6 or less"),
        (None, ["--cases", "few"], "give whole numbers of at least 1, or all"),
        (None, ["--seeds", "0"], "give the number of seeds"),
        (None, ["--external", "nowhere"], "nowhere: no such folder"),
        (None, ["--data", "nowhere"], "nowhere: no such folder"),
        (None, ["--device", "abacus"], "no such device"),
        (None, ["--spacing", "0"], "option spacing.0=0.0: Input should be greater than 0"),
        (None, ["--set", "unet.widths=8"], "unet: option widths"),
        (
            None,
            ["--channels", "FLAIR"],
            "has no FLAIR image, but dwi and adc; add it or leave FLAIR out of the channels",
        ),
        (None, ["--track", "tensorbord"], "no tracker is named 'tensorbord' (did you mean tensorboard?)"),
        (None, ["--precision", "fp16", "--device", "cpu", "--workers", "1"], "needs a CUDA GPU"),
        (drop_masks, [], "has no lesion mask; add"),
        (stray_label, [], "holds the label value 42, but the label table ends at 6"),
        (other_grid, [], "lies on another grid"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(small_cohort, tmp_path, capsys, fault, words, said):
    cohort = small_cohort
    if fault is not None:
        cohort = shutil.copytree(small_cohort, tmp_path / "cohort")
        fault(cohort)
    out = tmp_path / "out"
    asked = ["compare", "--preset", "smoke", "--models", "pix2pix", "--data", str(cohort), "--out", str(out), *words]
    assert main(asked) == 2
    told = capsys.readouterr()
    assert said in " ".join(told.err.split())
    assert "Traceback" not in told.err
    assert told.out == ""
    assert not out.exists()


def test_the_way_of_preparing_is_part_of_a_study(capsys):
    words = ["compare", "--models", "pix2pix", "--scaling", "zscore", "--interpolation", "cubic", "--print-study"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert 'scaling = "zscore"' in said
    assert 'interpolation = "cubic"' in said


@pytest.mark.parametrize(("preset", "models"), [("smoke", '["pix2pix", "spade"]'), ("quick", "[]")])
def test_without_models_a_study_is_clinical_only_and_a_smoke_test_has_two(capsys, preset, models):
    assert main(["compare", "--preset", preset, "--print-study"]) == 0
    assert f"models = {models}" in capsys.readouterr().out


def test_patience_and_validation_cases_are_part_of_the_study(capsys):
    asked = ["compare", "--preset", "smoke", "--patience", "3", "--validation-cases", "1", "--print-study"]
    assert main(asked) == 0
    study = tomllib.loads(capsys.readouterr().out)
    assert study["budgets"]["segmenter"]["patience"] == 3
    assert study["budgets"]["segmenter"]["steps"] == 60
    assert study["budgets"]["translator"]["patience"] == 0
    assert study["validation_cases"] == 1


def test_a_study_file_that_is_not_there(capsys):
    assert main(["compare", "--study", "nowhere.toml"]) == 2
    assert "nowhere.toml: cannot be read (No such file or directory)" in capsys.readouterr().err


def test_flags_override_the_study_file(tmp_path, capsys):
    study = tmp_path / "study.toml"
    study.write_text('preset = "smoke"\nmodels = ["pix2pix"]\nshares = [0.25]\n')
    flags = ["--study", str(study), "--set", "unet.lr=2e-3", "--segmenter", "unet,dynunet", "--no-headroom"]
    flags += ["--compose", "translated,edited"]
    assert main(["compare", *flags, "--print-study"]) == 0
    printed = capsys.readouterr().out
    assert 'segmenters = ["unet", "dynunet"]' in printed
    assert "shares = [0.25]" in printed
    assert 'compose = ["translated", "edited"]' in printed
    assert "headroom = false" in printed
    assert "lr = 0.002" in printed


def test_a_leak_between_two_parts_is_refused_before_any_work(small_cohort, tmp_path, capsys):
    root = shutil.copytree(small_cohort, tmp_path / "cohort")
    cohort = open_cohort(root)
    test, train = cohort.part("test")[0], cohort.part("train")[4]
    write_volume(train.images["dwi"], 2 * read_volume(test.images["dwi"]).data, read_volume(train.images["dwi"]).affine)
    out = tmp_path / "out"
    assert main(["compare", "--preset", "smoke", "--models", "pix2pix", "--data", str(root), "--out", str(out)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"has the same image as {train.name}, in train and in test; take one out" in said
    assert not out.exists()


def test_a_repeated_study_is_compared_number_by_number(small_cohort, tmp_path, capsys, monkeypatch):
    """All work is done anew, although the first study's is noted on this machine."""
    monkeypatch.setattr(study_module, "LocalExecutor", lambda *_: InProcess())
    words = ["compare", "--data", str(small_cohort), "--seeds", "1", "--no-headroom", "--spacing", "6"]
    words += ["--steps", "segmenter=2", "--cases", "2"]
    first, again = tmp_path / "first", tmp_path / "again"
    assert main([*words, "--out", str(first)]) == 0
    capsys.readouterr()

    repeat = [*words, "--out", str(again), "--same-as", str(first / "results.json")]
    assert main(repeat) == 0
    assert f"Every number is that of {first / 'results.json'}." in capsys.readouterr().err
    assert list((again / "runs").glob("*/weights.safetensors"))
    assert not list((again / "runs").glob("*/origin.json"))

    changed = json.loads((first / "results.json").read_text())
    case, scores = next(iter(changed["arms"][0]["seeds"][0]["cases"].items()))
    dice = scores["dice"]
    scores["dice"] = dice + 1e-9
    (first / "results.json").write_text(json.dumps(changed))
    assert main(repeat) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-2] == f"arms[0].seeds[0].cases.{case}.dice: {dice}, was {dice + 1e-9}"
    assert f"1 value not as in {first / 'results.json'}; use the versions of the requirements.txt beside it" in said[-1]

    assert main([*words, "--out", str(first), "--same-as", str(first / "results.json")]) == 2
    assert "where nothing would be repeated; give a new --out" in capsys.readouterr().err
