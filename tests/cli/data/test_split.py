"""`strokereg data split` as it is called."""

from __future__ import annotations

import shutil

from strokereg.cli.main import main


def test_split_of_no_cohort(tmp_path, capsys):
    assert main(["data", "split", str(tmp_path)]) == 2
    assert "not a cohort folder" in capsys.readouterr().err


def test_a_split_is_written_once_in_the_parts_asked_for(phantom, tmp_path, capsys):
    root = shutil.copytree(phantom, tmp_path / "cohort")
    assert main(["data", "split", str(root), "--parts", "1,1,1"]) == 0
    assert capsys.readouterr().out == f"{root / 'split.tsv'}\n"
    assert main(["data", "split", str(root)]) == 2
    assert "split.tsv: exists already and is not overwritten" in capsys.readouterr().err
    assert main(["data", "split", str(root), "--folds", "3"]) == 0
    assert [line.rpartition("/")[2] for line in capsys.readouterr().out.splitlines()] == [
        "split_fold-1.tsv",
        "split_fold-2.tsv",
        "split_fold-3.tsv",
    ]
    assert main(["data", "split", str(root), "--parts", "1,1"]) == 2
    assert "give three whole numbers of at least 1" in capsys.readouterr().err
