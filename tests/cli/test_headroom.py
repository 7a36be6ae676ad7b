"""The headroom at several step counts, as a user asks for it."""

from __future__ import annotations

import pytest

from strokereg.cli.main import main
from strokereg.core.report.results import Results


@pytest.mark.slow
def test_each_step_count_is_a_study_that_compare_can_use(small_cohort, tmp_path, capsys):
    words = ["headroom", "--data", str(small_cohort), "--preset", "smoke", "--workers", "2"]
    assert main([*words, "--steps", "4,2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert [row[0] for row in rows] == ["steps", "2", "4"]
    assert all(len(row) == 5 for row in rows)
    assert "None of these step counts shows headroom." in said.err  # three test cases give no interval
    results = Results.read(tmp_path / "4-steps" / "results.json")
    assert [(arm.training, arm.cases) for arm in results.arms] == [("clinical", 3), ("clinical", 6)]
    assert main([*words, "--steps", "4", "--cases", "all", "--out", str(tmp_path / "b")]) == 2
    assert "--cases: asks for all training cases" in capsys.readouterr().err


def test_wrong_counts(capsys):
    assert main(["headroom", "--steps", "5,5"]) == 2
    assert "give different numbers" in capsys.readouterr().err
