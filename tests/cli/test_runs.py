"""`strokereg runs`: lists, shows and deletes runs."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from filelock import FileLock

from strokereg.cli.main import main
from strokereg.core.train.record import Record


def test_the_commands(small_study, tmp_path, capsys):
    out = str(small_study.json.parent)
    assert main(["runs", "list", out, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {run["kind"] for run in listed} >= {"generator", "translator", "database", "segmenter"}
    unet = next(run for run in listed if run["architecture"] == "unet")
    assert (unet["cases"], unet["seed"], unet["steps"], unet["state"], unet["studies"]) == (3, 0, 4, "done", [out])
    assert main(["runs", "show", unet["folder"]]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["run"]["trainer"]["steps"] == 4
    assert any(name.startswith("outcome") for name in shown)
    assert main(["runs", "list", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert main(["runs", "show", "nothing"]) == 2
    assert "no run of that name" in capsys.readouterr().err


def test_the_list_names_arms_and_dice_within_80_columns(small_study, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["runs", "list", str(small_study.json.parent)]) == 0
    printed = capsys.readouterr()
    store, *lines = printed.out.splitlines()
    assert store == str(small_study.json.parent / "runs")
    assert max(map(len, lines)) <= 80
    assert "…" not in printed.out
    for arm in small_study.results.arms:
        dice = 100 * arm.summary.dice.mean
        [row] = [line for line in lines if re.search(rf" 3 +0 +4 +{dice:.1f} .* done ", line)][:1]
        assert len(list((small_study.json.parent / "runs").glob(f"segmenter-unet-*{row.split()[-1]}"))) == 1
    assert re.search(r"segmenter unet +clinical only +3 +0", printed.out)


def test_a_run_of_train_stands_as_what_it_is(unet_run, tmp_path, capsys):
    """It has no outcome file, as tasks of studies have, and stood as begun for ever."""
    store = tmp_path / "runs"
    shutil.copytree(unet_run, store / "unet")
    record = Record.read(store / "unet").model_copy(update={"validation_dice": 0.456})
    record.write(store / "unet")
    for name, changes in {"later": {"done": False}, "task": {"code": "1f0c"}}.items():
        (store / name).mkdir()
        record.model_copy(update=changes).write(store / name)
    with FileLock(store / "task" / ".task.lock"):
        assert main(["runs", "list", str(tmp_path), "--json"]) == 0
        states = {run["folder"].rpartition("/")[2]: run["state"] for run in json.loads(capsys.readouterr().out)}
    assert states == {"later": "begun", "task": "running", "unet": "done"}
    assert main(["runs", "list", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert re.search(r"segmenter unet.* 45.6 v .* done +unet", printed.out)
    assert re.search(r" trained +task", printed.out)
    assert printed.err == "v: on validation cases, as there is no score on test cases\n"


@pytest.mark.parametrize("words", [["list"], ["show"], ["gc"]])
def test_help_has_an_example(words, capsys):
    assert main(["runs", *words, "--help"]) == 0
    assert "Example: strokereg runs" in capsys.readouterr().out


def test_gc_names_what_is_not_needed_and_deletes_it_when_asked(small_study, tmp_path, capsys):
    out = shutil.copytree(small_study.json.parent, tmp_path / "out")
    tasks = json.loads((out / "tasks.json").read_text())
    (out / "tasks.json").write_text(json.dumps({"store": str(out / "runs"), "folders": tasks["folders"][1:]}))
    for note in (out / "runs" / ".studies").iterdir():
        note.write_text(str(out))
    assert main(["runs", "gc", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out.split() == [str(out / "runs" / tasks["folders"][0])]
    assert "1 folder not needed; repeat with --yes to delete them" in said.err
    assert main(["runs", "gc", str(out), "--yes"]) == 0
    assert not (out / "runs" / tasks["folders"][0]).exists()
