import json
import shutil

import pytest
from PIL import Image

from strokereg.cli.main import main
from strokereg.core.scan.pictures import TRUTH


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
        (["--cases", "6", "--lesions", "."], "--lesions .: holds no NIfTI file"),
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


def test_split_of_no_cohort(tmp_path, capsys):
    assert main(["data", "split", str(tmp_path)]) == 2
    assert "not a cohort folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["simulate", "split", "import", "readers", "check"])
def test_help_has_an_example(capsys, command):
    assert main(["data", command, "--help"]) == 0
    assert "Example: strokereg data" in capsys.readouterr().out


def test_import_check_and_split_of_the_real_case(real_data, tmp_path, capsys):
    out = tmp_path / "isles"
    assert main(["data", "import", str(real_data / "isles22"), "--out", str(out), "--link", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["reader"], done["imported"]) == ("isles22", ["sub-strokecase0009_ses-0001"])
    assert main(["data", "check", str(out), "--sheet", str(tmp_path / "sheet.png"), "--json"]) == 0
    printed = capsys.readouterr()
    checked = json.loads(printed.out)
    assert (checked["cases"], checked["errors"], checked["empty_masks"]) == (1, 0, [])
    assert {finding["rule"] for finding in checked["findings"]} == {"missing_parts"}
    assert "sheet.png" in printed.err
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 16)}
    assert TRUTH in colours  # the outline
    assert main(["data", "split", str(out)]) == 2
    assert "at least 3 subjects" in capsys.readouterr().err


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


def test_check_exits_1_at_an_error_and_says_the_mend(phantom, tmp_path, capsys):
    root = shutil.copytree(phantom, tmp_path / "in")
    path = next(root.rglob("sub-02*_mask.nii.gz"))
    path.write_bytes(path.read_bytes()[:-40])
    assert main(["data", "check", str(root)]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith(f"error: sub-02: {path}: damaged or truncated (")
    assert "; copy the file again\n" in printed.out
    assert "3 cases: 1 error, 4 warnings." in printed.err


def test_readers_are_listed(capsys):
    assert main(["data", "readers"]) == 0
    assert "isles22\tpublic data set of ISLES'22" in capsys.readouterr().out
    assert main(["data", "readers", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} >= {"bids", "folder", "nnunet", "dicom"}
