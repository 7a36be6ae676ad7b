"""`strokereg data export` as it is called."""

from __future__ import annotations

import json

from strokereg.cli.main import main


def test_a_mixed_training_set_is_written_and_summarised(small_cohort, phantom, tmp_path, capsys):
    out = tmp_path / "Dataset101_stroke"
    words = ["data", "export", str(small_cohort), "--format", "nnunet", "--cases", "2", "--channels", "DWI"]
    assert main([*words, "--add", str(phantom), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out}\n"
    assert "5 training, 1 validation and 3 test cases: dwi\n" in printed.err
    assert "Note: copy splits_final.json to nnUNet_preprocessed/Dataset101_stroke before training" in printed.err
    assert main([*words, "--out", str(tmp_path / "Dataset102_few"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"train": 2, "val": 1, "test": 3}
    assert main([*words, "--out", str(out)]) == 2
    assert "exists already and is not overwritten" in capsys.readouterr().err
