"""`strokereg evaluate translator`."""

from __future__ import annotations

import json

from strokereg.cli.main import main


def test_the_command_prints_table_and_path(small_cohort, tmp_path, capsys):
    words = [
        "evaluate",
        "translator",
        "--data",
        str(small_cohort),
        "--models",
        "pix2pix",
        "--preset",
        "smoke",
        "--workers",
        "1",
    ]
    assert main([*words, "--out", str(tmp_path / "c"), "--steps", "2"]) == 0
    said = capsys.readouterr().out
    assert "other real cases" in said
    assert "Simulated cohort: these are not clinical numbers." in said
    assert said.rstrip().endswith("sheet.png")
    assert json.loads((tmp_path / "c" / "evaluation.json").read_text())["translators"][0]["steps"] == 2
