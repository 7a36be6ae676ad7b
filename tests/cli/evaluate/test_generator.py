"""`strokereg evaluate generator`, from a folder of masks to table, JSON and sheet."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from strokereg.cli.main import main


@pytest.fixture(scope="module")
def masks(tmp_path_factory, write_ball):
    folder, rng = tmp_path_factory.mktemp("lesions"), np.random.default_rng(0)
    for number in range(30):
        write_ball(folder / f"sub-{number:02}_lesion.nii.gz", rng.uniform(-40, 40, 3), rng.uniform(8, 25), 4.0)
    return folder


@pytest.mark.parametrize("dims", [2, 3])
def test_table_json_and_sheet(masks, dims, tmp_path, capsys):
    small = ["--set", "mask-gan.ngf=2", "--set", "mask-gan.ndf=2", "--set", "mask-gan.loss=lsgan"]
    words = [
        "evaluate",
        "generator",
        "--masks",
        str(masks),
        "--steps",
        "2",
        "--dims",
        str(dims),
        "--spacing",
        "10",
        *small,
    ]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in ("real, held out", "mask-gan", "mask-warp", "sheet.png"))
    evaluated = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (evaluated["training"], evaluated["held_out"], evaluated["dims"]) == (24, 3, dims)
    assert [s["name"] for s in evaluated["sets"]] == ["real, held out", "mask-gan", "mask-warp"]
    assert Image.open(tmp_path / "out" / "sheet.png").width > 300
    # Called again, it finds the trainings and says the same.
    assert main([*words, "--out", str(tmp_path / "out"), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    for s in evaluated["sets"] + again["sets"]:
        s["seconds"] = None
    assert again["sets"] == evaluated["sets"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--models", "pix2pix"], "'pix2pix' is a translator, not a generator"),
        (["--models", "mask-wrap"], "did you mean mask-warp"),
        (["--models", "mask-library"], "mask-library: needs a folder of lesion masks in MNI space"),
        (["--set", "mask-gan.ngf=-1"], "mask-gan: option ngf='-1'"),
        (["--set", "spade.ngf=4"], "spade is not among the models"),
        (["--spacing", "1"], "--spacing 1: is outside the range of 2 to 12 mm; choose a value in it"),
        (["--steps", "0"], "steps"),
    ],
)
def test_wrong_input_is_one_sentence(masks, words, said, tmp_path, capsys):
    assert main(["evaluate", "generator", "--masks", str(masks), "--out", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "out" / "runs").exists()


def test_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["evaluate", "generator", "--masks", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "no such folder" in capsys.readouterr().err
