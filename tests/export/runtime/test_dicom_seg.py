"""DICOM in, NIfTI and DICOM-SEG out, with the real series of a healthy volunteer; where the extra is installed."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from strokereg.cli.main import main
from strokereg.core.scan.appearance import appearance_of
from strokereg.core.scan.nifti import read_volume
from strokereg.export.runtime import dicom_seg
from strokereg.export.runtime.scans import ScanFiles, find_scans
from strokereg.registry.errors import InputError


@pytest.fixture(scope="module")
def volunteer(real_data):
    """One patient: folders with one series each, as scanners export them."""
    pytest.importorskip("dcm2niix", reason="the extra 'dicom' is not installed")
    folder = real_data / "dicom_xa30" / "volPA"
    if not folder.is_dir():
        pytest.skip(f"no real DICOM in {folder}")
    return folder


def test_a_folder_of_series_is_one_scan(volunteer):
    (scan,) = find_scans([volunteer], ("dwi", "adc"))
    assert (scan.name, scan.dicom, scan.fault) == ("volPA", volunteer, "")
    assert [path.name for path in scan.files] == ["12_DWI_dir80_PA_TRACEW.nii.gz", "11_DWI_dir80_PA_ADC.nii.gz"]
    dwi, adc = (appearance_of(read_volume(path)) for path in scan.files)  # with the skull
    assert (dwi.fluid_is_bright, adc.fluid_is_bright, adc.adc_unit) == (False, True, "10⁻⁶ mm²/s")
    assert [scan.name for scan in find_scans([volunteer.parent], ("dwi",))] == ["volAP", "volPA"]
    (other,) = find_scans([volunteer], ("dwi", "FLAIR"))
    assert other.fault == f"{volunteer}: has no series that is FLAIR; convert and name the images yourself"


def test_a_patient_without_dwi_does_not_stop_the_others(volunteer, exported, tmp_path, capsys):
    root = tmp_path / "scans"
    for name, series in (("a", ["12_DWI_dir80_PA"]), ("b", ["11_DWI_dir80_PA"])):
        for one in series:
            shutil.copytree(volunteer / one, root / name / "study" / one)
    words = ["segment", str(root), "--model", str(exported["onnx"]), "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 1
    printed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in printed["failed"]] == ["b"]
    assert "has 0 series that could be the DWI" in printed["failed"][0]["reason"]
    assert printed["done"][0]["dicom"] == str(root / "a")
    assert (tmp_path / "out" / "a_desc-lesion_mask.nii.gz").is_file()


def test_the_dicom_segmentation_is_the_mask_in_the_patients_study(volunteer, exported, tmp_path, capsys):
    pytest.importorskip("highdicom", reason="the extra 'dicom' is not installed")
    import highdicom
    import pydicom

    words = ["segment", str(volunteer), "--model", str(exported["onnx"]), "--out", str(tmp_path), "--dicom-seg"]
    assert main([*words, "--threshold", "0.9"]) == 0
    capsys.readouterr()
    image = nib.load(tmp_path / "volPA_desc-lesion_mask.nii.gz")
    mask = np.asarray(image.dataobj) > 0
    assert mask.any()
    segmentation = highdicom.seg.segread(tmp_path / "volPA_desc-lesion_mask.dcm")
    (source,) = (pydicom.dcmread(path) for path in (volunteer / "12_DWI_dir80_PA").iterdir())
    for name in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert segmentation[name].value == source[name].value
    assert segmentation.SeriesInstanceUID != source.SeriesInstanceUID
    assert segmentation.SeriesDescription == "strokereg lesion, research only, not a medical device"
    volume = segmentation.get_volume(combine_segments=True)
    assert positions(volume.array, volume.affine) == positions(mask, np.diag([-1, -1, 1, 1]) @ image.affine)
    content = json.loads((tmp_path / "volPA_desc-lesion_mask.json").read_text())
    assert sorted(content["files"]) == ["volPA_desc-lesion_mask.dcm", "volPA_desc-lesion_mask.nii.gz"]
    assert main([*words, "--threshold", "1"]) == 0  # no lesion: every frame is written, all empty
    assert not highdicom.seg.segread(tmp_path / "volPA_desc-lesion_mask.dcm").pixel_array.any()


def positions(array, affine) -> set[tuple[float, ...]]:
    """Places of the voxels above 0 in mm."""
    voxels = np.argwhere(array)
    return {tuple(place) for place in (np.c_[voxels, np.ones(len(voxels))] @ affine.T)[:, :3].round(2)}


def test_only_scans_from_dicom_have_one(exported, phantom, tmp_path, capsys, monkeypatch):
    scan = phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz"
    words = ["segment", str(scan), "--model", str(exported["onnx"]), "--dicom-seg"]
    assert main([*words, "--out", str(tmp_path)]) == 2
    assert "sub-01_dwi.nii.gz does not come from DICOM; give the DICOM folder of the scan" in capsys.readouterr().err
    assert main(words) == 2
    assert "--dicom-seg: writes a file beside the mask; add --out FILE or --out DIR" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    with pytest.raises(InputError, match=r"highdicom is not installed; .* pip install 'strokereg\[dicom\]'"):
        dicom_seg.require([ScanFiles("s", (scan,), tmp_path)])
