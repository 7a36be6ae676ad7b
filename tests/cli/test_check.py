"""`strokereg check`, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strokereg.cli.main import main

FIXTURES = Path(__file__).parents[1] / "fixtures"


def test_what_conforms_exits_0_with_a_line_a_check(capsys):
    assert main(["check", "carvemix", "--set", "outer=0.5"]) == 0
    told = capsys.readouterr()
    rows = [line.split("\t") for line in told.out.splitlines()]
    assert [row[2] for row in rows][:3] == ["spec-is-lazy", "builds", "builds-with-defaults"]
    assert {tuple(row[:2]) for row in rows} == {("ok", "3D")}
    assert told.err.startswith(f"carvemix: {len(rows)} passed, 0 failed, 0 not run")


def test_what_does_not_exits_1_with_rule_and_fix(monkeypatch, capsys):
    monkeypatch.syspath_prepend(FIXTURES)
    words = ["check", "acme_faults:WritingMixer", "--role", "mixer"]
    assert main(words) == 1
    *_, row, _, message = capsys.readouterr().out.splitlines()
    assert row.startswith("ok")
    assert message.startswith("writing-mixer: leaves-its-cases-alone. Rule: mix() does not modify host and donor")
    assert message.endswith("Fix: copy arrays before you change them.")
    assert main([*words, "--json"]) == 1
    [failed] = [row for row in json.loads(capsys.readouterr().out) if row["status"] == "failed"]
    assert (failed["check"], failed["dims"], failed["message"]) == ("leaves-its-cases-alone", 2, message)
    assert main([*words, "--expect", "leaves-its-cases-alone=it is my own copy"]) == 0
    assert "it is my own copy" in capsys.readouterr().out
    assert main([*words, "--expect", "the-generator-decides=it does not"]) == 1
    assert "was expected to fail (it does not), but passes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["unte"], "no model is named 'unte' (did you mean unet"),
        (["unet", "--set", "depth=3"], "unet has no option 'depth'"),
        (["timm-unet", "--dims", "3"], "timm-unet is built for 2D, not 3D"),
        (["acme_nowhere:Net", "--role", "mixer"], "acme_nowhere:Net cannot be imported"),
        (["acme_nowhere:Net"], "give its role"),
        (["unet", "--expect", "bf61=why"], "there is no such check (did you mean bf16?)"),
        (["unet", "--expect", "bf16="], "is expected to fail without a reason"),
    ],
)
def test_wrong_input_is_one_sentence(words, said, capsys):
    assert main(["check", *words]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
