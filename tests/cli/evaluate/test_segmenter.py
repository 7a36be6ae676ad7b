"""`strokereg evaluate segmenter` as it is typed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from strokereg.cli.main import main
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.nifti import read_volume, write_volume


@pytest.fixture(scope="module")
def tools(flair_cohort, tmp_path_factory):
    """Masks of two tools in the real slices: one misses a column of voxels, the other the upper half of the lesion."""
    root = tmp_path_factory.mktemp("tools")
    for tool, name in (("nnunet", "{}.nii.gz"), ("other", "{}_desc-lesion_mask.nii.gz")):
        (root / tool).mkdir()
        for case in open_cohort(flair_cohort).cases:
            truth = read_volume(case.mask)
            lost = truth.data.copy()
            columns = np.flatnonzero(lost.any(axis=(1, 2)))
            lost[columns[0] : columns[0] + (1 if tool == "nnunet" else len(columns) // 2)] = 0
            write_volume(root / tool / name.format(case.name), lost.astype(np.uint8), truth.affine)
    return root / "nnunet", root / "other"


def evaluate(*words) -> int:
    return main(["evaluate", "segmenter", *map(str, words)])


def test_two_tools_beside_each_other(tools, flair_cohort, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert evaluate(*tools, "--data", flair_cohort, "--split", "all", "--out", tmp_path) == 0
    said = capsys.readouterr().out
    assert "Mean over 6 cases, with its 95 % interval." in said
    assert "Each minus nnunet on the same cases" in said
    assert "surface Dice %" in said.replace("\n", " ")
    assert "…" not in said
    assert max(map(len, said.replace(str(tmp_path), "").splitlines())) <= 80
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evaluation.csv", "evaluation.json", "worst.png"]
    written = json.loads((tmp_path / "evaluation.json").read_text())
    contrast = written["differences"][0]["metrics"]["dice"]
    assert contrast["high"] < 0
    assert contrast["p"] == contrast["adjusted_p"] == pytest.approx(2 / 2**6)  # six of six are worse


def test_json_is_what_was_written(tools, flair_cohort, tmp_path, capsys):
    assert evaluate(tools[0], "--data", flair_cohort, "--out", tmp_path, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "evaluation.json").read_text())
    assert list(printed["segmenters"][0]["cases"]) == ["sub-5", "sub-6"]
    assert printed["segmenters"][0]["strata"]["all"]["dice"]["low"] is None  # of two cases


def test_few_cases_have_no_interval(tools, flair_cohort, tmp_path, capsys):
    assert evaluate(tools[0], "--data", flair_cohort, "--split", "val", "--out", tmp_path) == 0
    assert "Mean over 1 val case, too few for an interval (6 needed)." in capsys.readouterr().out


def test_a_missing_mask_is_one_sentence(tools, flair_cohort, tmp_path, capsys):
    (tmp_path / "masks").mkdir()
    assert evaluate(tmp_path / "masks", "--data", flair_cohort, "--out", tmp_path / "out") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert "has no mask of sub-5 and of 1 more of the 2 cases; add sub-5.nii.gz" in err
    assert not (tmp_path / "out").exists()
