"""`strokereg segment` as it is typed."""

import json
import re

import nibabel as nib
import numpy as np
import onnx
import pytest

from strokereg.cli.main import main
from strokereg.export.run import export


@pytest.fixture
def scan(phantom):
    return phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz"


def segment(model, *words) -> int:
    return main(["segment", "--model", *map(str, (model, *words))])


def refused(capsys, model, *words) -> str:
    assert segment(model, *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("Error: ") == 1
    assert "Traceback" not in err
    return err


def test_a_mask_is_written_and_the_numbers_are_printed(exported, scan, tmp_path, capsys):
    out = tmp_path / "mask.nii.gz"
    assert segment(exported["onnx"], scan, "--out", out, "--json") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    mask = np.asarray(nib.load(out).dataobj)
    assert np.array_equal(nib.load(out).affine, nib.load(scan).affine)
    assert found["volume_ml"] == pytest.approx(mask.sum() * 0.027, abs=1e-5)
    assert found["lesions"] >= 1
    assert (found["threshold"], found["smallest_ml"]) == (0.4, 0.1)
    assert found["provider"] == "CPU" or found["provider"] in printed.err
    assert "trained on simulated images; not a medical device" in printed.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.json", "mask.nii.gz"]


def test_without_an_output_only_numbers(exported, scan, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert segment(exported["onnx"], scan) == 0
    assert " ml in " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_threshold_can_be_given(exported, scan, capsys):
    volumes = []
    for threshold in ("0.02", "0.98"):
        assert segment(exported["onnx"], scan, "--threshold", threshold, "--json") == 0
        volumes.append(json.loads(capsys.readouterr().out)["volume_ml"])
    assert volumes[0] > volumes[1]


def test_an_adc_that_the_model_does_not_take(exported, scan, capsys):
    assert "takes dwi, not adc; leave adc out" in refused(capsys, exported["onnx"], scan, "--image", f"adc={scan}")


def test_a_model_that_is_none(scan, tmp_path, capsys):
    assert "no such file" in refused(capsys, tmp_path / "none.onnx", scan)
    assert "not an ONNX model, or a truncated one" in refused(capsys, scan, scan)


def test_a_model_of_another_make_or_time_or_for_other_channels(exported, make_run, scan, tmp_path, capsys):
    def changed(name, change):
        model = onnx.load(exported["onnx"])
        change(model)
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    def future(model):
        model.opset_import[0].version = 999

    def newer(model):
        model.ir_version = 99

    def two_channels(model):
        text = model.metadata_props[0].value.replace('"channels":["dwi"]', '"channels":["dwi","adc"]')
        model.metadata_props[0].value = text

    out = tmp_path / "mask.nii.gz"
    plain = changed("plain.onnx", lambda model: model.ClearField("metadata_props"))
    assert "holds no strokereg metadata; give a file that" in refused(capsys, plain, scan, "--out", out)
    for name, change, wanted in (
        ("future.onnx", future, r"is of ONNX opset 999, and onnxruntime \d\S+ knows up to \d+; update onnxruntime, or"),
        (
            "newer.onnx",
            newer,
            r"is of ONNX IR version 99, and onnxruntime \d\S+ reads up to \d+; update onnxruntime, or",
        ),
    ):
        message = refused(capsys, changed(name, change), scan, "--out", out)
        assert re.search(wanted, message)
        assert "ONNXRuntimeError" not in message
    assert "its graph does not fit" in refused(capsys, changed("two.onnx", two_channels), scan, "--out", out)
    alone = tmp_path / "alone_dwi.nii.gz"
    alone.write_bytes(scan.read_bytes())
    assert "alone_adc.nii.gz: no such file" in refused(capsys, make_two(make_run, tmp_path), alone, "--out", out)
    assert not out.exists()


def make_two(make_run, folder):
    """A model that wants DWI and ADC."""
    return export(make_run("unet", channels=("dwi", "adc"), widths=[4, 8]), out=folder / "two")[0]


def test_a_folder_that_may_not_be_written(exported, scan, small_disk, capsys):
    place = small_disk(64, read_only=True)
    assert "cannot be written; choose another folder" in refused(
        capsys, exported["onnx"], scan, "--out", place / "mask.nii.gz"
    )
    assert "cannot be written; choose another folder" in refused(capsys, exported["onnx"], scan, "--out", place)
    assert list(place.iterdir()) == []


def test_an_image_that_is_none_or_would_be_overwritten(exported, scan, tmp_path, capsys):
    assert "no such file" in refused(
        capsys, exported["onnx"], tmp_path / "none.nii.gz", "--out", tmp_path / "mask.nii.gz"
    )
    assert "would be overwritten" in refused(capsys, exported["onnx"], scan, "--out", scan)
    assert "threshold 7" in refused(capsys, exported["onnx"], scan, "--threshold", "7")
    assert list(tmp_path.iterdir()) == []


def test_the_real_case_through_the_command(exported, real_data, tmp_path, capsys):
    (dwi,) = real_data.glob("isles22/rawdata/*/*/*_dwi.nii.gz")
    assert segment(exported["onnx"], dwi, "--out", tmp_path / "mask.nii.gz") == 0
    written, given = nib.load(tmp_path / "mask.nii.gz"), nib.load(dwi)
    assert written.shape == given.shape
    assert np.array_equal(written.affine, given.affine)
    assert set(np.unique(np.asarray(written.dataobj))) == {0, 1}


def test_a_second_scan_is_a_scan_and_no_output(exported, phantom, tmp_path, capsys):
    """`segment MODEL a.nii.gz b.nii.gz` once wrote a mask over the second scan."""
    scans = []
    for name in ("sub-01", "sub-02"):
        scans.append(tmp_path / f"{name}_dwi.nii.gz")
        scans[-1].write_bytes((phantom / name / "dwi" / f"{name}_dwi.nii.gz").read_bytes())
    before = [scan.read_bytes() for scan in scans]
    assert main(["segment", str(exported["onnx"]), *map(str, scans)]) == 2
    assert "'--model'" in capsys.readouterr().err
    assert segment(exported["onnx"], *scans) == 0
    assert capsys.readouterr().out.count(" ml in ") == 2
    message = refused(capsys, exported["onnx"], scans[0], "--out", scans[1])
    assert "sub-02_dwi.nii.gz: exists and is not an unchanged output of strokereg; choose another --out" in message
    assert [scan.read_bytes() for scan in scans] == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [scan.name for scan in scans]


def test_an_earlier_mask_is_replaced_and_a_corrected_one_only_with_overwrite(exported, scan, tmp_path, capsys):
    mask = tmp_path / "sub-01_desc-lesion_mask.nii.gz"
    for _ in range(2):
        assert segment(exported["onnx"], scan, "--out", tmp_path, "--qc") == 0
    capsys.readouterr()
    mask.write_bytes(b"corrected")
    assert "exists and is not an unchanged output" in refused(capsys, exported["onnx"], scan, "--out", tmp_path)
    assert mask.read_bytes() == b"corrected"
    assert segment(exported["onnx"], scan, "--out", tmp_path, "--overwrite") == 0
    assert np.asarray(nib.load(mask).dataobj).any()


def test_the_device_is_chosen_and_one_that_is_not_there_is_refused(exported, scan, tmp_path, capsys, monkeypatch):
    assert segment(exported["onnx"], scan, "--device", "cpu") == 0
    assert "unet on CPU" in capsys.readouterr().err
    monkeypatch.setattr("strokereg.export.runtime.devices.count_gpus", lambda: 0)
    out = tmp_path / "mask.nii.gz"
    message = refused(capsys, exported["onnx"], scan, "--device", "cuda", "--out", out)
    assert "--device cuda: " in message
    assert "or give --device cpu" in message
    assert "--device mps: exported models do not run there" in refused(
        capsys, exported["onnx"], scan, "--device", "mps"
    )
    assert not out.exists()


@pytest.mark.parametrize("kind", ["adc", "flair", "msk"])
def test_a_real_image_that_is_no_dwi_is_refused_whatever_its_name(exported, real_data, tmp_path, capsys, kind):
    (source,) = real_data.glob(f"isles22/*/*/*/*_{kind}.nii.gz")
    named = {"adc": "is adc by its name", "flair": "is FLAIR by its name", "msk": "is a mask by its name"}
    assert named[kind] in refused(capsys, exported["onnx"], source, "--out", tmp_path / "mask.nii.gz")
    renamed = tmp_path / "scan.nii.gz"
    renamed.symlink_to(source)
    if kind == "flair":  # its intensities are like those of a DWI; what differs from the training is named
        assert segment(exported["onnx"], renamed) == 0
        assert "Warning: " in (message := capsys.readouterr().err)
        assert "its voxels measure 0.449 × 0.449 × 5 mm, not 3 × 3 × 3 mm" in message
        return
    message = refused(capsys, exported["onnx"], renamed, "--out", tmp_path / "mask.nii.gz")
    assert {"adc": "shows bright fluid, as an ADC map in 10⁻³ mm²/s", "msk": "as a mask"}[kind] in message
    assert list(tmp_path.iterdir()) == [renamed]
    assert segment(exported["onnx"], renamed, "--force", "--json") == 0
    printed = capsys.readouterr()
    assert "segmented nevertheless" in json.loads(printed.out)["warnings"][0]
    assert "Warning: " in printed.err


def test_probabilities_lie_beside_the_mask_on_the_grid_of_the_scan(exported, scan, tmp_path, capsys):
    for out, names in (
        (tmp_path / "a", ["sub-01_desc-lesion_mask.json", "sub-01_desc-lesion_mask.nii.gz"]),
        (tmp_path / "b" / "lesion.nii.gz", ["lesion.json", "lesion.nii.gz"]),
    ):
        folder = out.parent if out.suffix else out
        folder.mkdir()
        assert segment(exported["onnx"], scan, "--out", out, "--probabilities") == 0
        (made,) = folder.glob("*_probseg.nii.gz")
        assert sorted(path.name for path in folder.iterdir() if path != made) == names
        probability, mask = nib.load(made), nib.load(folder / names[1])
        assert (probability.shape, probability.get_data_dtype()) == (mask.shape, np.float32)
        assert np.array_equal(probability.affine, nib.load(scan).affine)
        values = np.asarray(probability.dataobj)
        assert 0 <= values.min() < 0.1 < 0.9 < values.max() <= 1
        assert not (np.asarray(mask.dataobj) > 0)[values < 0.4].any()
        assert segment(exported["onnx"], scan, "--out", out) == 0
        assert not made.exists()
    capsys.readouterr()
    assert "--probabilities: writes a file" in refused(capsys, exported["onnx"], scan, "--probabilities")
