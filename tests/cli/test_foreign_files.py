"""Every command that writes, with a file of someone else where its output belongs: refused, and the file is kept.

`segment` and `synthesize --model`, which have --overwrite, are tested in test_segment.py and export/runtime;
`synthesize --cohort` opens its folder as `data simulate` does.
"""

from __future__ import annotations

import shutil

import pytest

from strokereg.cli.main import main
from strokereg.core.scan.sheet import is_sheet

_MINE = b"of someone else"


@pytest.mark.parametrize(
    ("command", "place"),
    [
        ("compare --models carvemix --data {slices} --out {out}", "report.html"),
        ("compare --models carvemix --data {slices} --out {out}", "results.json"),
        ("compare --models carvemix --data {slices} --out {out}", "requirements.txt"),
        ("headroom --data {slices} --steps 1,2 --out {out}", "1-steps/table.md"),
        ("evaluate generator --masks {slices} --out {out}", "evaluation.json"),
        ("evaluate generator --masks {slices} --out {out}", "sheet.png"),
        ("evaluate translator --data {slices} --models pix2pix --out {out}", "evaluation.json"),
        ("train unet --data {slices} --steps 1 --out {out}", "weights.safetensors"),
        ("train unet --data {slices} --steps 1 --out {out}", "history.csv"),
        ("train unet --data {slices} --steps 1 --out {out}", "run.json"),
        ("export {run} --out {out}", "unet.onnx"),
        ("export {run} --format torchscript,pt2 --out {out}", "unet.pt2"),
        ("export {run} --precision int8 --out {out}", "unet.int8.onnx"),
        ("export {run} --format triton --out {out}", "unet-triton/config.pbtxt"),
        ("data simulate --cases 5 --out {out}", "notes.txt"),
        ("data import {slices} --out {out}", "sub-1/anat/sub-1_FLAIR.nii.gz"),
        ("data check {slices} --sheet {out}/sheet.png", "sheet.png"),
        ("data split {copy}", "../copy/split.tsv"),
        ("data label {copy} --overwrite", "../copy/derivatives/truth/sub-1/anat/{stem}_dseg.nii.gz"),
        ("data label {unlabelled}", "../unlabelled/derivatives/tissues/sheet.png"),
        ("new-plugin other-net --out {out}", "pyproject.toml"),
    ],
)
def test_a_file_of_someone_else_is_kept(command, place, flair_cohort, make_run, tmp_path, capsys):
    places = {"slices": flair_cohort, "out": tmp_path / "out", "run": ""}
    places |= {name: tmp_path / name for name in ("copy", "unlabelled") if f"{{{name}}}" in command}
    for name in ("copy", "unlabelled"):
        if name in places:
            shutil.copytree(flair_cohort, places[name])
    if "unlabelled" in places:
        for path in places["unlabelled"].rglob("*dseg*"):
            path.unlink()
    if "{run}" in command:
        places["run"] = make_run("unet", widths=[4, 8])
    path = tmp_path / "out" / place.format(stem="sub-1_space-MNI152NLin6Asym")
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_MINE)

    def files():
        found = (file for file in sorted(tmp_path.rglob("*")) if file.is_file() and file.name != ".lock")
        return {file: file.read_bytes() for file in found}

    before = files()
    assert main(command.format(**places).split()) == 2
    message = capsys.readouterr().err
    assert message.count("Error: ") == 1
    refusals = ("exists", "not empty", "is in the way", "not a run record", "not overwritten", "has no column")
    assert any(word in message for word in refusals)
    assert files() == before


def test_an_earlier_output_is_replaced(flair_cohort, make_run, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    for _ in range(2):
        assert main(["data", "check", str(flair_cohort), "--sheet", str(sheet)]) in (0, 1)
        assert is_sheet(sheet)
    run = make_run("unet", widths=[4, 8])
    for _ in range(2):
        assert main(["export", str(run), "--format", "torchscript", "--out", str(tmp_path)]) == 0
