"""`strokereg synthesize` parses its options; what it makes is tested in core/synthesis and export/runtime."""

from __future__ import annotations

import pytest

from strokereg.cli.main import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "a.onnx", "--labels", "b", "--n", "3"], "--n cannot be used with --model"),
        (["--translator", "t", "--generator", "g", "--cohort", "c", "--qc"], "--qc cannot be used without --model"),
        (["--model", "a.onnx", "--labels", "b", "--compose", "edited"], "--compose cannot be used with --model"),
        (["--model", "a.onnx"], "--labels is missing"),
        (["--translator", "t", "--cohort", "c"], "--generator is missing"),
    ],
)
def test_options_of_the_other_kind_and_missing_ones_are_named(words, message, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["synthesize", "--out", str(out), *words]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_run_that_is_none_is_one_sentence(tmp_path, capsys):
    words = ["--translator", str(tmp_path), "--generator", str(tmp_path), "--cohort", str(tmp_path)]
    assert main(["synthesize", "--out", str(tmp_path / "out"), *words]) == 2
    assert "not a run folder" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_refused_before_anything_is_read(tmp_path, capsys):
    words = ["--translator", "t", "--generator", "g", "--cohort", "c", "--device", "cuda:63"]
    assert main(["synthesize", "--out", str(tmp_path / "out"), *words]) == 2
    assert "Error: --device cuda:63: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
