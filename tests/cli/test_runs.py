"""`strokereg runs`: lists, shows and deletes runs."""

from __future__ import annotations

import json
import shutil

import pytest

from strokereg.cli.main import main


def test_the_commands(small_study, tmp_path, capsys):
    out = str(small_study.json.parent)
    assert main(["runs", "list", out, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {run["kind"] for run in listed} >= {"generator", "translator", "database", "segmenter"}
    unet = next(run for run in listed if run["architecture"] == "unet")
    assert (unet["cases"], unet["seed"], unet["steps"], unet["done"], unet["studies"]) == (3, 0, 4, True, [out])
    assert main(["runs", "list", out]) == 0
    assert sum("segmenter-unet" in line for line in capsys.readouterr().out.splitlines()) == 5
    assert main(["runs", "show", unet["folder"]]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["run"]["trainer"]["steps"] == 4
    assert any(name.startswith("outcome") for name in shown)
    assert main(["runs", "list", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert main(["runs", "show", "nothing"]) == 2
    assert "no run of that name" in capsys.readouterr().err


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
