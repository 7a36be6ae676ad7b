"""Exported translators make images of label maps without torch, as the study does with it."""

import json
import os

import nibabel as nib
import numpy as np
import pytest
import torch

from strokereg.cli.main import main
from strokereg.core.scan.grid import frame_of
from strokereg.core.scan.nifti import Volume, read_volume
from strokereg.core.synthesis.cases import render
from strokereg.core.train.runs import load_model
from strokereg.export.run import export
from strokereg.export.runtime.translator import load_translator
from strokereg.registry.errors import InputError


def lively(model, record):
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)


@pytest.fixture(scope="module")
def translator(make_run, tmp_path_factory):
    """A pix2pix run and its ONNX file."""
    run = make_run("pix2pix", fit=lively, ngf=4, ndf=4, levels=2)
    return run, export(run, out=tmp_path_factory.mktemp("translator"))[0]


@pytest.fixture
def dseg(phantom):
    return phantom / "derivatives" / "truth" / "sub-01" / "dwi" / "sub-01_dseg.nii.gz"


def test_an_image_is_what_the_study_renders(translator, dseg):
    run, file = translator
    made = load_translator(file).synthesize(dseg)
    record, model = load_model(run)
    volume = read_volume(dseg)
    brain = Volume((volume.data > 0).astype(np.float32), volume.affine, dseg)
    frame = frame_of(brain, record.preparation)
    expected = frame.back((render(model, frame.labels(volume.data, 7), False)[:, 0] + 1.0) * 200.0)
    assert made.images["dwi"].shape == volume.data.shape
    np.testing.assert_allclose(made.images["dwi"], expected, atol=0.05)  # of 400, where the tolerance of parity is 0.02
    assert made.images["dwi"].std() > 1.0


def test_the_command_writes_image_json_and_picture(translator, phantom, tmp_path, capsys):
    words = ["synthesize", "--model", translator[1], "--labels", phantom, "--out", tmp_path / "out", "--qc"]
    assert main(list(map(str, words))) == 0
    printed = capsys.readouterr()
    assert printed.out.count("_dwi.nii.gz\n") == 3
    assert "pix2pix on CPU, trained on simulated images; not a medical device" in printed.err
    assert sorted(os.listdir(tmp_path / "out"))[:3] == ["sub-01_dwi.json", "sub-01_dwi.nii.gz", "sub-01_dwi.png"]
    content = json.loads((tmp_path / "out" / "sub-01_dwi.json").read_text())
    assert content["synthetic"] is True
    assert content["labels"].endswith("sub-01_dseg.nii.gz")
    given = nib.load(content["labels"])
    written = nib.load(tmp_path / "out" / "sub-01_dwi.nii.gz")
    assert np.array_equal(written.affine, given.affine)
    assert written.get_data_dtype() == np.float32
    assert main(list(map(str, words))) == 0  # its own earlier images are replaced
    foreign = tmp_path / "out" / "sub-02_dwi.nii.gz"
    foreign.write_bytes(b"a scan")
    capsys.readouterr()
    assert main(list(map(str, words))) == 2
    assert "sub-02_dwi.nii.gz: exists and is not an unchanged output of strokereg" in capsys.readouterr().err
    assert foreign.read_bytes() == b"a scan"
    assert main([*map(str, words), "--overwrite"]) == 0
    assert nib.load(foreign).shape == given.shape


@pytest.mark.slow
def test_noise_is_drawn_from_the_seed(make_run, dseg, tmp_path):
    run = make_run("spade", fit=lively, ngf=4, ndf=4, hidden=8, levels=2)
    translator = load_translator(export(run, out=tmp_path)[0])
    one, again, other = (translator.synthesize(dseg, seed).images["dwi"] for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert np.abs(one - other).max() > 0.1


def test_the_number_type_of_a_label_map_changes_nothing(translator, dseg, tmp_path):
    model, volume = load_translator(translator[1]), read_volume(dseg)
    expected = model.synthesize(dseg).images["dwi"]
    for kind in (np.int16, np.int32, np.float32, np.float64):
        nib.save(nib.Nifti1Image(volume.data.astype(kind), volume.affine), tmp_path / "labels.nii")
        assert np.array_equal(model.synthesize(tmp_path / "labels.nii").images["dwi"], expected)


def test_label_maps_that_cannot_be(translator, exported, dseg, tmp_path, capsys):
    volume = read_volume(dseg)
    for name, data, message in [
        (
            "stray",
            np.where(volume.data == 5, 12, volume.data),
            "holds the label value 12, but the label table ends at 6",
        ),
        ("parts", volume.data * 0.5, "a label map holds integers only"),
        ("empty", volume.data * 0, "is all background"),
    ]:
        path = tmp_path / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(data.astype(np.float32), volume.affine), path)
        with pytest.raises(InputError, match=message):
            load_translator(translator[1]).synthesize(path)
    words = ["synthesize", "--model", exported["onnx"], "--labels", dseg, "--out", tmp_path / "out"]
    assert main(list(map(str, words))) == 2
    assert "holds a segmenter (unet); give an exported translator" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
