"""`strokereg data label` and `strokereg data prepare` as they are called."""

from __future__ import annotations

import json
import shutil

import pytest

from strokereg.cli.main import main


@pytest.mark.parametrize("command", ["label", "prepare"])
def test_help_has_an_example(capsys, command):
    assert main(["data", command, "--help"]) == 0
    assert f"Example: strokereg data {command}" in capsys.readouterr().out


def test_a_cohort_is_labelled_by_place_and_prepared(small_cohort, tmp_path, capsys):
    root = tmp_path / "bare"
    shutil.copytree(small_cohort, root)
    for path in root.glob("derivatives/*/*/dwi/*_dseg.nii.gz"):
        path.unlink()
    assert main(["data", "prepare", str(root)]) == 2
    assert "has no tissue label map" in capsys.readouterr().err
    assert main(["data", "label", str(root), "--method", "atlas", "--workers", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["made"], told["found"], told["kept"], told["method"]) == (10, 0, 0, "atlas")
    assert told["labels"][-1] == "lesion"
    assert (root / "derivatives" / "tissues" / "sheet.png").stat().st_size > 10_000
    assert main(["data", "prepare", str(root), "--spacing", "6", "--json"]) == 0
    ready = json.loads(capsys.readouterr().out)
    assert (ready["train"], ready["val"]) == (6, 1)
    assert ready["preparation"]["spacing"] == [6.0, 6.0, 6.0]
    assert len(ready["folders"]) == 7
    more = ["--scaling", "percentile", "--interpolation", "cubic"]
    assert main(["data", "prepare", str(root), "--spacing", "6", *more, "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert (other["preparation"]["scaling"], other["preparation"]["percentiles"]) == ("percentile", [0.5, 99.5])
    assert set(other["folders"].values()).isdisjoint(ready["folders"].values())


def test_wrong_options_are_one_sentence(small_cohort, capsys):
    assert main(["data", "label", str(small_cohort), "--maps", "."]) == 2
    assert "add --method external" in capsys.readouterr().err
    assert main(["data", "prepare", str(small_cohort), "--spacing", "0"]) == 2
    assert "--spacing 0" in capsys.readouterr().err
