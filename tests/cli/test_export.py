"""`strokereg export` as it is typed."""

import json
import shutil

import pytest

from strokereg.cli.main import main
from strokereg.core.train.record import Record
from strokereg.export.metadata import Gate


@pytest.fixture
def copied(unet_run, tmp_path):
    """A copy of the run that a test may spoil."""
    folder = tmp_path / "run"
    folder.mkdir()
    for item in unet_run.iterdir():
        (folder / item.name).write_bytes(item.read_bytes())
    return folder


def refused(capsys, *words) -> str:
    assert main(["export", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    return err


def test_torchscript_goes_into_the_run_folder(copied, capsys):
    assert main(["export", str(copied), "--format", "torchscript", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["file"] == str(copied / "export" / "unet.pt")
    assert (copied / "export" / "unet.pt").is_file()
    assert entry["parity"]["largest_difference"] <= 1e-4
    assert entry["parity"]["cases"] == 2


def test_onnx_is_the_default_and_out_is_made(copied, tmp_path, capsys):
    assert main(["export", str(copied), "--out", str(tmp_path / "new" / "folder")]) == 0
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["unet.onnx"]
    assert "largest difference" in capsys.readouterr().out


def test_check_measures_again(exported, unet_run, capsys):
    assert main(["export", str(unet_run), "--check", str(exported["onnx"])]) == 0
    assert "masks agree on 100" in capsys.readouterr().out


def test_check_of_another_network_did_not_hold(exported, make_run, capsys):
    other = make_run("unet", widths=[8, 16, 16])
    assert main(["export", str(other), "--check", str(exported["torchscript"])]) == 1
    assert "is not the trained network: largest difference" in capsys.readouterr().err


def test_an_unknown_format_gets_a_hint(unet_run, capsys):
    assert "(did you mean torchscript?)" in refused(capsys, unet_run, "--format", "onnx,torchscrip")


def test_not_a_run_folder(tmp_path, capsys):
    assert "not a run folder" in refused(capsys, tmp_path)


def test_an_unfinished_run(copied, capsys):
    Record.read(copied).model_copy(update={"done": False}).write(copied)
    assert "not finished" in refused(capsys, copied)


def test_damaged_weights(copied, capsys):
    (copied / "weights.safetensors").write_bytes(b"nothing")
    assert "weights.safetensors: damaged" in refused(capsys, copied)
    assert not (copied / "export").exists()


def test_a_folder_that_cannot_be_made(copied, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert "cannot be written" in refused(capsys, copied, "--out", tmp_path / "file" / "x", "--format", "torchscript")


def test_an_arm_of_a_study_is_exported_by_name(small_study, tmp_path, capsys):
    study = small_study.json.parent
    words = ["export", str(study), "--format", "torchscript", "--out", str(tmp_path / "out")]
    assert main([*words, "--arm", "carvemix, clinical + synthetic", "--json"]) == 0
    printed = capsys.readouterr()
    (entry,) = json.loads(printed.out)
    assert entry["file"] == str(tmp_path / "out" / "unet.pt")
    assert printed.err.startswith("segmenter-unet-")
    assert "name an arm; choose one of --arm 'clinical only, n = 3'" in refused(capsys, study)
    assert "--seed 3: the arm has the seeds 0" in refused(capsys, study, "--arm", "clinical only", "--seed", "3")
    assert main(["export", "--arm", "clinical only"]) == 2
    assert "give its folder" in capsys.readouterr().err


def test_a_precision_that_fails_does_not_hold_up_the_others(copied, capsys, monkeypatch):
    """All were lost when the last one lost too much."""

    def measured(full, reduced, bundle, cases, samples):
        loss = 0.2 if bundle.precision == "int8" else 0.0
        return Gate(measure="mean Dice", full=0.8, reduced=0.8 - loss, loss=loss, allowed=0.005, cases=2)

    monkeypatch.setattr("strokereg.export.exporter.measure_gate", measured)
    assert main(["export", str(copied), "--precision", "int8,fp16"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(str(copied / "export" / "unet.fp16.onnx"))
    assert "Error: unet in int8 loses 0.2000" in err
    assert "add --force to write it nevertheless; written all the same: unet.fp16.onnx" in err
    assert [path.name for path in (copied / "export").iterdir()] == ["unet.fp16.onnx"]
    assert main(["export", str(copied), "--precision", "int8", "--out", str(copied / "none")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("Error: ") == 1
    assert "written all the same" not in err
    assert list((copied / "none").iterdir()) == []


def test_all_seeds_of_an_arm_are_exported_as_one(unet_run, tmp_path, capsys):
    runs = {str(seed): str(shutil.copytree(unet_run, tmp_path / "runs" / f"run-{seed}")) for seed in (0, 1)}
    arms = [{"name": "clinical only", "cases": 3, "runs": runs}]
    (tmp_path / "tasks.json").write_text(json.dumps({"store": str(tmp_path / "runs"), "folders": [], "arms": arms}))
    words = ["export", str(tmp_path), "--ensemble", "--format", "torchscript"]
    assert main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)[0]["file"] == str(tmp_path / "export" / "unet.pt")
    assert printed.err.startswith("run-0, run-1\n")
    assert main([*words, "--seed", "0"]) == 2
    assert "--ensemble takes all seeds; leave --seed out" in capsys.readouterr().err


@pytest.mark.parametrize(("formats", "said"), [("onnx,scan", True), ("web", True), ("onnx", False)])
def test_a_scan_graph_is_said_to_take_skull_stripped_scans(tmp_path, monkeypatch, capsys, formats, said):
    monkeypatch.setattr("strokereg.export.run.export", lambda *words: [])
    assert main(["export", str(tmp_path), "--format", formats]) == 0
    assert (
        "takes skull-stripped scans; only 'strokereg segment' extracts the brain" in capsys.readouterr().err
    ) is said


def test_several_runs_are_exported_as_one(unet_run, tmp_path, capsys):
    runs = [str(shutil.copytree(unet_run, tmp_path / name)) for name in ("fold-1", "fold-2")]
    words = ["export", *runs, "--format", "torchscript"]
    assert "--out: an ensemble belongs to several runs; name a folder for it" in refused(capsys, *words[1:])
    assert main([*words, "--out", str(tmp_path / "both")]) == 0
    assert capsys.readouterr().out.startswith(str(tmp_path / "both" / "unet.pt"))
    assert main(["export", *runs, "--check", str(tmp_path / "both" / "unet.pt")]) == 2
    assert "--check compares with one RUN" in capsys.readouterr().err
