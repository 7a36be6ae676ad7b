"""`strokereg train`: any role, resumed by itself, and the one-line Python face."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest

import strokereg
from strokereg.cli.main import main
from strokereg.core.train.record import HISTORY, RECORD, WEIGHTS, Record
from strokereg.registry.catalogue import catalogue, forget
from strokereg.registry.factory import load_class

NETWORKS = ("generator", "translator", "segmenter")
SMALL = {
    "unet": ["--set", "lr=2e-3"],
    "pix2pix": ["--set", "ngf=4", "--set", "ndf=4"],
    "spade": ["--set", "ngf=4", "--set", "ndf=4", "--set", "hidden=4"],
    "mask-gan": ["--set", "ngf=4", "--set", "ndf=4", "--set", "loss=lsgan"],
}

FAILS = """
import strokereg

class Fails:
    def __init__(self, folder): pass
    def begin(self, run, facts): pass
    def step(self, run, step, losses): raise OSError("no space left")
    def end(self, run, failure): pass
    def close(self): pass

@strokereg.hookimpl
def strokereg_trackers():
    yield strokereg.TrackerSpec(name="fails", factory="fails:Fails", summary="raises at the first step")
"""


def words(name, cohort, out, *more):
    few = ["--steps", "4", "--batch-size", "2", "--spacing", "8", "--cases", "3"]
    return ["train", name, "--data", str(cohort), "--out", str(out), *few, *SMALL[name], *more]


@pytest.mark.parametrize("name", SMALL)
def test_every_role_trains_and_is_found_finished(small_cohort, tmp_path, capsys, name):
    assert main(words(name, small_cohort, tmp_path / "run", "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["done"]
    assert record["trainer"]["steps"] == 4
    assert record["cohort"]["training_cases"] == 3
    assert (record["postprocessing"] is not None) == (name == "unet")
    weights = tmp_path / "run" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    assert main(words(name, small_cohort, tmp_path / "run")) == 0
    assert weights.stat().st_mtime_ns == before
    printed = capsys.readouterr()
    assert printed.out.strip() == str(tmp_path / "run")
    assert (f"validation Dice {record['validation_dice'] or 0:.3f}: weights of step" in printed.err) == (name == "unet")


def test_artefacts_are_asked_for_on_the_command_line(small_cohort, tmp_path, capsys, monkeypatch):
    asked = ["--augment", "motion=0.5", "--augment", "ghosting=0.5", "--augment", "anisotropy=0.5", "--json"]
    monkeypatch.setitem(sys.modules, "torchio", None)  # as if it were not installed
    assert main(words("unet", small_cohort, tmp_path / "run", *asked)) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "--augment: anisotropy needs the package torchio" in told
    assert "pip install 'strokereg[artefacts]'" in told
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    pytest.importorskip("torchio", reason="TorchIO is not installed")
    assert main(words("unet", small_cohort, tmp_path / "run", *asked)) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["trainer"]["augment"] == {"motion": 0.5, "ghosting": 0.5, "anisotropy": 0.5}
    weights = (tmp_path / "run" / "weights.safetensors").read_bytes()
    assert main(words("unet", small_cohort, tmp_path / "again", *asked, "--workers", "2")) == 0
    assert (tmp_path / "again" / "weights.safetensors").read_bytes() == weights


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "lr=0"], "unet: option lr='0'"),
        (["--set", "depth=3"], "unet has no option 'depth'"),
        (["--cases", "99"], "ask for 1 to that many"),
        (["--precision", "half"], "option precision='half'"),
        (["--channels", "flair"], "has no FLAIR image"),
        (["--spacing", "0"], "the voxel size must be positive"),
        (["--device", "abacus"], "no such device"),
    ],
)
def test_wrong_input_is_one_sentence(small_cohort, tmp_path, capsys, more, said):
    asked = ["train", "unet", "--data", str(small_cohort), "--out", str(tmp_path / "run"), *more]
    assert main(asked) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("entry", catalogue().select("strokereg:*", NETWORKS), ids=lambda entry: entry.spec.name)
def test_every_built_in_refuses_wrong_options_in_one_sentence(entry, tmp_path, capsys):
    """Before anything is read: the cohort is not there."""
    asked = ["train", entry.spec.name, "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    fields = load_class(entry).Options.model_fields
    first, number = next(iter(fields)), next(name for name, f in fields.items() if f.annotation in (int, float))
    wrong = {
        f"{first}x=1": f"{entry.spec.name} has no option '{first}x' (did you mean {first}",
        f"{number}=-1": f"{entry.spec.name}: option {number}='-1':",
        f"{number}=much": f"{entry.spec.name}: option {number}='much':",
    }
    for pair, said in wrong.items():
        assert main([*asked, "--set", pair]) == 2
        told = capsys.readouterr().err.strip()
        assert said in " ".join(told.split()), told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "encoder=resnet81"], "timm knows no encoder 'resnet81' (did you mean resnet"),
        (["--dims", "3"], "timm-unet is built for 2D, not 3D; choose --dims accordingly"),
    ],
)
def test_what_a_segmenter_cannot_be_is_one_sentence(small_cohort, tmp_path, capsys, more, said):
    few = ["--spacing", "8", "--cases", "3", "--out", str(tmp_path / "run")]
    assert main(["train", "timm-unet", "--data", str(small_cohort), *few, *more]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_a_segmenter_needs_no_label_maps(flair_cohort, tmp_path, capsys):
    root = shutil.copytree(flair_cohort, tmp_path / "cohort")
    for path in [*root.rglob("*_dseg.nii.gz"), *root.rglob("dseg.tsv")]:
        path.unlink()
    assert main(words("unet", root, tmp_path / "run", "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["labels"] == ["background", "brain", "lesion"]
    assert record["hardware"]["threads"] == 1
    assert main([*words("unet", root, tmp_path / "run"), "--batch-size", "4"]) == 2
    assert "holds another run of unet (--batch-size 2, now 4)" in capsys.readouterr().err
    assert main([*words("unet", root, tmp_path / "run", "--json"), "--steps", "5"]) == 0  # goes on
    record = json.loads(capsys.readouterr().out)
    assert (record["trainer"]["steps"], record["earlier_steps"]) == (5, [4])
    assert main(["export", str(tmp_path / "run"), "--format", "torchscript"]) == 0
    assert main(words("pix2pix", root, tmp_path / "other")) == 2
    assert "has no tissue label map, needed by pix2pix" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["carvemix", "lesion-paste"])
def test_a_mixer_has_nothing_to_train(small_cohort, tmp_path, capsys, name):
    assert main(["train", name, "--data", str(small_cohort), "--out", str(tmp_path / "run")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"{name} is a mixer: it combines two real cases and is not trained" in said
    assert f"strokereg compare --models {name}" in said
    assert not (tmp_path / "run").exists()


def test_an_untrained_translator_gets_a_run_folder_without_a_step(small_cohort, tmp_path, capsys):
    few = ["--spacing", "8", "--cases", "3"]
    words = ["train", "random-contrast", "--data", str(small_cohort), "--out", str(tmp_path / "run"), *few]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"]
    assert not (tmp_path / "run" / "history.csv").exists()
    assert main(words) == 0


def test_every_public_name_resolves():
    for name in strokereg.__all__:
        assert getattr(strokereg, name) is not None


def test_a_fold_and_a_way_of_scaling_are_the_runs_own(small_cohort, tmp_path, capsys):
    """What the run was validated on is what its export is measured on, and its file scales as it was trained."""
    from strokereg.core.cohort.cohort import open_cohort
    from strokereg.core.cohort.split_cohort import split_cohort
    from strokereg.export.run import TrainedRun

    root = shutil.copytree(small_cohort, tmp_path / "cohort")
    split_cohort(root, folds=3)
    out, how = tmp_path / "run", ["--scaling", "zscore", "--interpolation", "cubic"]
    assert main(words("unet", root, out, "--fold", "2", *how)) == 0
    record = Record.read(out)
    expected = tuple(case.name for case in open_cohort(root, 2).part("val"))
    assert expected != tuple(case.name for case in open_cohort(root).part("val"))
    assert (record.cohort["fold"], record.validation) == (2, expected)
    assert tuple(case.name for case in TrainedRun.read(out).cohort.part("val")) == expected
    assert TrainedRun.read(out, small_cohort).cohort.fold is None
    assert (record.preparation.scaling, record.preparation.interpolation) == ("zscore", "cubic")
    [file] = strokereg.export(out, formats=["onnx"])
    found = strokereg.load(file).segment(open_cohort(root, 2).part("val")[0].images["dwi"])
    assert np.isfinite(found.probability).all()
    capsys.readouterr()
    assert main(words("unet", root, out, "--fold", "1", *how)) == 2
    assert "holds another run" in capsys.readouterr().err
    assert main(words("unet", root, out, "--fold", "2")) == 2  # other scaling, other run


def test_a_tracker_that_raises_changes_nothing(small_cohort, tmp_path, capsys):
    (tmp_path / "fails.py").write_text(FAILS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STROKEREG_PLUGINS", str(tmp_path / "fails.py"))
        forget()
        assert main([*words("unet", small_cohort, tmp_path / "watched" / "run"), "--track", "fails"]) == 0
    forget()
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("tracker fails: failed in step (OSError: no space left); it is dropped") == 1
    assert main(words("unet", small_cohort, tmp_path / "alone" / "run")) == 0
    for name in (WEIGHTS, HISTORY, RECORD):
        watched, alone = ((tmp_path / place / "run" / name).read_bytes() for place in ("watched", "alone"))
        assert watched == alone


def test_an_unknown_tracker_shows_before_anything_is_written(small_cohort, tmp_path, capsys):
    assert main([*words("unet", small_cohort, tmp_path / "run"), "--track", "tensorbord"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "no tracker is named 'tensorbord' (did you mean tensorboard?)" in said
    assert not (tmp_path / "run").exists()


def test_a_training_starts_from_a_run(small_cohort, tmp_path, capsys):
    assert main(words("unet", small_cohort, tmp_path / "first")) == 0
    asked = [*words("unet", small_cohort, tmp_path / "second", "--json"), "--from", str(tmp_path / "first")]
    capsys.readouterr()
    assert main(asked) == 0
    start = json.loads(capsys.readouterr().out)["start"]
    assert (start["run"], start["cohort"], start["steps"]) == (
        "first",
        Record.read(tmp_path / "first").cohort["name"],
        4,
    )
    adc = ["--channels", "dwi,adc", "--from", str(tmp_path / "first")]
    assert main([*words("unet", small_cohort, tmp_path / "third"), *adc]) == 2
    assert "this training has dwi, adc; give another run, or --adapt" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "third").exists()
    assert main([*words("unet", small_cohort, tmp_path / "third"), *adc, "--adapt"]) == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "exactly one of --data and --simulate"),
        (["--data", "x", "--simulate"], "exactly one of --data and --simulate"),
        (["--data", "x", "--labels", "heads"], "--labels: belongs to --simulate"),
        (["--data", "x", "--lesions", "masks"], "--lesions: belongs to --simulate"),
        (["--simulate", "--lesions", "missing"], "--lesions missing: no such folder"),
    ],
)
def test_simulated_and_given_data_are_kept_apart(capsys, given, said):
    assert main(["train", "unet", *given]) == 2
    assert said in capsys.readouterr().err
