"""`strokereg data check` as it is called."""

from __future__ import annotations

import json
import shutil

from strokereg.cli.main import main


def test_check_exits_1_at_an_error_and_says_how_to_fix_it(phantom, tmp_path, capsys):
    root = shutil.copytree(phantom, tmp_path / "in")
    path = next(root.rglob("sub-02*_mask.nii.gz"))
    path.write_bytes(path.read_bytes()[:-40])
    assert main(["data", "check", str(root)]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith(f"error: sub-02: {path}: damaged or truncated (")
    assert "; copy the file again\n" in printed.out
    assert "3 cases: 1 error, 4 warnings." in printed.err


def test_a_sheet_is_drawn_even_if_the_split_is_damaged(phantom, tmp_path, capsys):
    root = shutil.copytree(phantom, tmp_path / "in")
    (root / "split.tsv").write_text("participant_id\tsplit\nsub-09\ttrain\n")
    assert main(["data", "check", str(root), "--sheet", str(tmp_path / "sheet.png"), "--json"]) == 1
    printed = capsys.readouterr()
    [error] = [finding for finding in json.loads(printed.out)["findings"] if finding["level"] == "error"]
    assert (error["rule"], error["fix"]) == ("split", "correct the split")
    assert (tmp_path / "sheet.png").is_file()
    assert "1 error would stop a training; each line says how to fix it" in printed.err


def test_a_sheet_of_another_ending_is_refused(phantom, tmp_path, capsys):
    assert main(["data", "check", str(phantom), "--sheet", str(tmp_path / "sheet.pdf")]) == 2
    assert "sheet.pdf: the sheet is a PNG" in capsys.readouterr().err
