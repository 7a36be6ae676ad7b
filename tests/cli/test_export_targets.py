"""`strokereg export` into other targets, and what can go wrong on the way out: one sentence, nothing half written."""

import json
import os
from pathlib import Path

import pytest

from strokereg.cli.main import INTERRUPTED, main
from strokereg.core.train.record import Record
from strokereg.export import targets


def export(*words) -> int:
    return main(["export", *map(str, words)])


def error(capsys) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    return err


def listed(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.slow
def test_folders_appear_whole_replace_their_own_kind_and_can_be_checked(unet_run, tmp_path, capsys):
    assert export(unet_run, "--format", "triton,monai", "--out", tmp_path, "--json") == 0
    entries = json.loads(capsys.readouterr().out)
    assert [Path(entry["file"]).name for entry in entries] == ["unet-triton", "unet-monai"]
    assert all(entry["parity"]["cases"] == 2 for entry in entries)
    assert listed(tmp_path) == ["unet-monai", "unet-triton"]
    (tmp_path / "unet-monai" / "stale").write_text("of an older export")
    assert export(unet_run, "--format", "monai", "--out", tmp_path) == 0
    assert listed(tmp_path / "unet-monai") == ["configs", "docs", "models", "scripts"]
    assert listed(tmp_path) == ["unet-monai", "unet-triton"]
    capsys.readouterr()
    assert export("--check", tmp_path / "unet-triton") == 0
    assert "against its network's answers in the file" in capsys.readouterr().out


def test_a_folder_of_something_else_is_left_alone(unet_run, tmp_path, capsys):
    (tmp_path / "unet-triton").mkdir()
    (tmp_path / "unet-triton" / "notes.txt").write_text("mine")
    assert export(unet_run, "--format", "triton", "--out", tmp_path) == 2
    assert "unet-triton: is in the way and no export of this kind" in error(capsys)
    assert listed(tmp_path / "unet-triton") == ["notes.txt"]
    assert listed(tmp_path) == ["unet-triton"]


def test_targets_that_only_a_segmenter_has(make_run, tmp_path, capsys):
    run = make_run("mask-gan")
    for kind in ("web", "monai"):
        assert export(run, "--format", f"onnx,{kind}", "--out", tmp_path / "out") == 2
        assert f"--format {kind}: " in (message := error(capsys))
        assert "mask-gan is a generator; export it to onnx, torchscript, pt2 or triton" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "trained"),
    [({"scaling": "zscore"}, "zscore and linear"), ({"interpolation": "cubic"}, "median and cubic")],
)
def test_monai_refuses_a_preparation_that_it_does_not_do(make_run, tmp_path, capsys, change, trained):
    run = make_run("unet", widths=(4, 8))
    record = Record.read(run)
    record.model_copy(update={"preparation": record.preparation.model_copy(update=change)}).write(run)
    assert export(run, "--format", "monai", "--out", tmp_path / "out") == 2
    assert error(capsys).strip().endswith(f"unet was trained with {trained}; export it to onnx, scan or web")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing(unet_run, small_disk, capsys):
    place = small_disk(100)  # kB; the smallest file has more
    for kind in ("torchscript", "monai"):
        assert export(unet_run, "--format", kind, "--out", place) == 2
        assert f"{place}: cannot be written (No space left on device); choose another folder" in error(capsys)
        assert listed(place) == []


def test_a_disk_that_may_not_be_written(unet_run, small_disk, capsys):
    place = small_disk(64, read_only=True)
    assert export(unet_run, "--format", "torchscript", "--out", place / "files") == 2
    assert "files: cannot be written (Read-only file system); choose another folder" in error(capsys)


def test_what_was_there_stays_where_the_new_cannot_take_its_place(unet_run, tmp_path, capsys, monkeypatch):
    """A folder is moved aside first; if the second step fails, it goes back."""
    assert export(unet_run, "--format", "monai", "--out", tmp_path) == 0
    before = (tmp_path / "unet-monai" / "models" / "model.ts").read_bytes()
    replace = os.replace

    def failing(source, target):
        if Path(source).parent.name.startswith(".export-") and not Path(source).name.startswith("old-"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(targets.os, "replace", failing)
    capsys.readouterr()
    assert export(unet_run, "--format", "monai", "--out", tmp_path) == 2
    assert "No space left on device" in error(capsys)
    assert listed(tmp_path) == ["unet-monai"]
    assert (tmp_path / "unet-monai" / "models" / "model.ts").read_bytes() == before


def test_interrupted_in_the_middle(unet_run, tmp_path, capsys, monkeypatch):
    """Ctrl-C when one folder is finished and the next is being made."""
    build, built = targets.build, []

    def interrupted(*words):
        if built:
            raise KeyboardInterrupt
        built.append(build(*words))
        return built[0]

    monkeypatch.setattr(targets, "build", interrupted)
    assert export(unet_run, "--format", "triton,monai", "--out", tmp_path / "out") == INTERRUPTED
    assert len(built) == 1
    assert capsys.readouterr().err.endswith("Interrupted.\n")
    assert listed(tmp_path / "out") == []
