"""`strokereg data prepare` as it is called."""

from __future__ import annotations

import json

from strokereg.cli.main import main


def test_cases_are_prepared_once_for_each_way_of_preparing(small_cohort, capsys):
    words = ["data", "prepare", str(small_cohort), "--spacing", "6"]
    assert main([*words, "--json"]) == 0
    prepared = json.loads(capsys.readouterr().out)
    assert (prepared["train"], prepared["val"]) == (6, 1)
    assert prepared["preparation"]["spacing"] == [6.0, 6.0, 6.0]
    assert len(prepared["folders"]) == 7
    assert main([*words, "--scaling", "percentile", "--interpolation", "cubic", "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert (other["preparation"]["scaling"], other["preparation"]["percentiles"]) == ("percentile", [0.5, 99.5])
    assert set(other["folders"].values()).isdisjoint(prepared["folders"].values())
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "6 training and 1 validation cases are prepared: slices of " in printed.err
    assert printed.out.splitlines() == [f"{name}\t{folder}" for name, folder in prepared["folders"].items()]


def test_the_usual_spacing_is_3_mm(small_cohort, capsys):
    assert main(["data", "prepare", str(small_cohort), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["preparation"]["spacing"] == [3.0, 3.0, 3.0]


def test_wrong_options_are_one_sentence(small_cohort, capsys):
    assert main(["data", "prepare", str(small_cohort), "--spacing", "0"]) == 2
    assert "--spacing 0" in capsys.readouterr().err
