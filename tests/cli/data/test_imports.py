"""`strokereg data import` and `strokereg data readers` as they are called."""

from __future__ import annotations

import json
import shutil

from strokereg.cli.main import main


def test_import_tells_what_it_left_and_exits_1(phantom, tmp_path, capsys):
    root = shutil.copytree(phantom, tmp_path / "in")
    (root / "sub-02/dwi/sub-02_dwi.nii.gz").write_bytes(b"no image")
    words = ["data", "import", str(root), "--out", str(tmp_path / "out")]
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'out'}\n"
    assert "2 cases imported as bids" in printed.err
    assert "Left out: sub-02: " in printed.err
    assert "sub-02_dwi.nii.gz: not a NIfTI image; give a .nii or .nii.gz file" in printed.err
    assert printed.err.splitlines()[-1].startswith("Error: ")


def test_readers_are_listed(capsys):
    assert main(["data", "readers"]) == 0
    assert "isles22\tpublic data set of ISLES'22" in capsys.readouterr().out
    assert main(["data", "readers", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} >= {"bids", "folder", "nnunet", "dicom"}


def test_patterns_a_split_and_a_second_call(phantom, tmp_path, capsys):
    out = tmp_path / "out"
    patterns = ["--images", "*_dwi.nii.gz", "--masks", "*_desc-lesion_mask.nii.gz"]
    words = ["data", "import", str(phantom), "--out", str(out), *patterns]
    assert main([*words, "--split", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["reader"], len(done["imported"]), done["found"]) == ("folder", 3, [])
    assert (out / "split.tsv").is_file()
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "0 cases imported as folder, 3 imported before." in printed.err
    assert printed.out == f"{out}\n"
    assert "no lesion mask" not in printed.err
    assert main([*words, "--lesion-label", "2"]) == 2
    assert "was made with lesion_label None instead of 2" in capsys.readouterr().err
    assert main([*words[:-1], "*_dseg.nii.gz"]) == 2
    assert "was made with options masks *_desc-lesion_mask.nii.gz instead of *_dseg.nii.gz" in capsys.readouterr().err


def test_an_import_without_masks_warns(phantom, tmp_path, capsys):
    words = ["data", "import", str(phantom), "--out", str(tmp_path / "out"), "--images", "*_dwi.nii.gz"]
    assert main(words) == 0
    said = capsys.readouterr().err
    assert f"Warning: {phantom}: sub-01 and 2 more have no lesion mask; training needs one for each case" in said
    assert "so name them with --masks" in said


def test_two_sites_and_a_split_by_site(phantom, small_cohort, tmp_path, capsys):
    out, other = tmp_path / "out", shutil.copytree(phantom, tmp_path / "north")
    assert main(["data", "import", str(small_cohort), "--out", str(out), "--exclude", "sub-0002"]) == 0
    assert "Excluded on request: sub-0002" in capsys.readouterr().err
    (out / "split.tsv").unlink()
    words = ["data", "import", str(other), "--out", str(out), "--test-site", "north"]
    assert main(words) == 0
    rows = (out / "split.tsv").read_text().splitlines()[1:]
    assert [row for row in rows if row.endswith("test")] == [f"sub-0{number}\ttest" for number in (1, 2, 3)]
    assert len(rows) == 12
    capsys.readouterr()
    assert main(words) == 2
    assert "split.tsv: exists already and is not overwritten" in capsys.readouterr().err
