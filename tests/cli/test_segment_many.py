"""`strokereg segment` over many scans, and everything that can go wrong on the way."""

import json
import os
import signal
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from strokereg.cli.main import main
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.scan.view import Convention


def segment(model, *words) -> int:
    return main(["segment", "--model", *map(str, (model, *words))])


def test_a_cohort_goes_into_a_folder(exported, phantom, tmp_path, capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "strokereg.export.runtime.qc.write_sheet", lambda sheet, path: (drawn.append(sheet), write_sheet(sheet, path))
    )
    assert segment(exported["onnx"], phantom, "--out", tmp_path / "out", "--qc", "--neurological") == 0
    printed = capsys.readouterr()
    assert printed.out.count(" ml in ") == 3
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == [f"sub-0{i}_desc-lesion_mask.{end}" for i in (1, 2, 3) for end in ("json", "nii.gz", "png")]
    content = json.loads((tmp_path / "out" / "sub-02_desc-lesion_mask.json").read_text())
    mask = np.asarray(nib.load(tmp_path / "out" / "sub-02_desc-lesion_mask.nii.gz").dataobj)
    assert content["volume_ml"] == pytest.approx(mask.sum() * 0.027, abs=1e-5)
    assert (content["threshold"], content["trained_on_simulated_images"]) == (0.4, True)
    assert len(content["model_sha256"]) == 64
    lesions = f"{content['lesions']} lesion{'s' * (content['lesions'] != 1)}"
    (sheet,) = [sheet for sheet in drawn if sheet.title.startswith("sub-02")]
    assert sheet.title == f"sub-02_dwi.nii.gz: {content['volume_ml']:.2f} ml in {lesions}"
    assert sheet.caption == f"Segmented with {exported['onnx'].name}, threshold 0.4."
    assert sheet.warning == "Trained on simulated images: research only."
    assert sheet.convention is Convention.NEUROLOGICAL
    picture = np.asarray(Image.open(tmp_path / "out" / "sub-02_desc-lesion_mask.png"))
    assert (picture == (86, 180, 233)).all(axis=-1).any()  # the outline


def test_a_bad_scan_is_reported_at_the_end_and_the_others_are_segmented(exported, phantom, tmp_path, capsys):
    good = phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz"
    cut = tmp_path / "cut_dwi.nii.gz"
    cut.write_bytes(good.read_bytes()[:3000])
    assert segment(exported["onnx"], cut, tmp_path / "none.nii.gz", good, "--out", tmp_path / "out", "--json") == 1
    printed = capsys.readouterr()
    content = json.loads(printed.out)
    assert [entry["lesions"] >= 1 for entry in content["done"]] == [True]
    assert [entry["name"] for entry in content["failed"]] == ["cut", "none"]
    assert "2 of 3 could not be used:" in printed.err
    assert f"{cut}: damaged or truncated" in printed.err
    assert sorted(os.listdir(tmp_path / "out")) == ["sub-01_desc-lesion_mask.json", "sub-01_desc-lesion_mask.nii.gz"]


def test_several_scans_need_a_folder(exported, phantom, tmp_path, capsys):
    scans = [phantom / f"sub-0{i}" / "dwi" / f"sub-0{i}_dwi.nii.gz" for i in (1, 2)]
    assert segment(exported["onnx"], *scans, "--out", tmp_path / "mask.nii.gz") == 2
    assert "mask.nii.gz: is one file for 2 scans; name a folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("in the way")
    assert segment(exported["onnx"], *scans, "--out", tmp_path / "file") == 2
    assert "file: no folder can be made there" in capsys.readouterr().err
    assert segment(exported["onnx"], phantom, "--out", tmp_path / "out", "--image", f"dwi={scans[0]}") == 2
    assert "--image: belongs to a single scan" in capsys.readouterr().err


def test_a_scan_of_four_dimensions(exported, phantom, tmp_path, capsys):
    scan = nib.load(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    nib.save(nib.Nifti1Image(np.stack([scan.get_fdata()] * 2, axis=-1), scan.affine), tmp_path / "four.nii.gz")
    assert segment(exported["onnx"], tmp_path / "four.nii.gz", "--out", tmp_path / "m.nii.gz") == 2
    assert "its shape is (30, 34, 22, 2); a 3D volume is needed" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["four.nii.gz"]


def test_an_unknown_backend(exported, phantom, capsys):
    assert segment(exported["onnx"], phantom, "--backend", "tpu") == 2
    assert "--backend tpu: unknown; known are auto, onnxruntime, openvino" in capsys.readouterr().err


def test_a_full_disk_ends_the_work_and_leaves_nothing_half(exported, phantom, small_disk, capsys):
    full_disk = small_disk(64)
    with (full_disk / "filler").open("wb") as file:
        file.write(bytes(60_000))
    assert segment(exported["onnx"], phantom, "--out", full_disk, "--qc") == 2
    message = capsys.readouterr().err
    assert "cannot be written (No space left on device); make room or choose another folder" in message
    assert message.count("Error: ") == 1
    left = sorted(path.name for path in full_disk.iterdir() if path.name != "filler")
    assert not [name for name in left if name.startswith(".")]
    assert all(name.startswith("sub-01") for name in left)
    assert len(left) in (0, 3)  # whole cases only


def test_interrupted_in_the_middle(exported, phantom, tmp_path):
    source = phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz"
    (tmp_path / "in").mkdir()
    for number in range(3000):  # more than are done before a busy machine lets this process look
        (tmp_path / "in" / f"s{number:04}_dwi.nii.gz").symlink_to(source)
    words = [sys.executable, "-m", "strokereg", "segment", tmp_path / "in", "--model", exported["onnx"]]
    words += ["--out", tmp_path / "out", "--backend", "onnxruntime"]
    process = subprocess.Popen(
        list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert message.endswith("Interrupted.\n")
    made = sorted(os.listdir(tmp_path / "out"))
    assert 0 < len(made) < 6000
    assert not [name for name in made if name.startswith(".")]
    stems = [name.split(".")[0] for name in made]
    assert all(stems.count(stem) == 2 for stem in stems)  # mask and JSON together
