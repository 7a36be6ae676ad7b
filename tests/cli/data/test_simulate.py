"""`strokereg data simulate` as it is called."""

from __future__ import annotations

import json

import pytest

from strokereg.cli.main import main


@pytest.mark.slow
def test_simulate_makes_a_cohort_and_says_so_in_json(tmp_path, capsys):
    out = tmp_path / "cohort"
    assert main(["data", "simulate", "--cases", "5", "--out", str(out), "--workers", "1", "--json"]) == 0
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    assert summary["cases"] == 5
    assert summary["path"] == str(out)
    assert summary["median_dwi_ratio"] > 1.1
    assert (out / "split.tsv").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--cases", "4"], "--cases 4: a cohort needs at least 5 cases"),
        (["--cases", "6", "--labels", "nowhere"], "--labels nowhere: no such folder"),
        (["--cases", "6", "--lesions", "."], "--lesions .: holds no image"),
    ],
)
def test_wrong_input_is_one_sentence(tmp_path, capsys, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "simulate", "--out", "out", *words]) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""
    assert not (tmp_path / "out").exists()
