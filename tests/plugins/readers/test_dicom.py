"""DICOM folders, converted by a stand-in for dcm2niix and by the real one."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.open import read_source
from strokereg.core.scan.nifti import write_volume
from strokereg.registry.errors import InputError


@pytest.fixture
def converter(tmp_path, monkeypatch, cut_volume):
    """A stand-in for dcm2niix that writes a trace image and an ADC map, as it would for a patient's series."""
    program = tmp_path / "bin" / "dcm2niix"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != "-o" ]; do shift; done\n'
        f'cp {cut_volume} "$2/5_trace.nii.gz"; cp {cut_volume} "$2/6_adc.nii.gz"\n'
        'echo \'{"SeriesDescription": "ep2d_diff_b1000", "ImageType": ["DERIVED", "TRACEW"]}\' > "$2/5_trace.json"\n'
        'echo \'{"SeriesDescription": "ep2d_diff_ADC", "ImageType": ["DERIVED", "ADC"]}\' > "$2/6_adc.json"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


@pytest.fixture
def cut_volume(tmp_path):
    return write_volume(tmp_path / "cut.nii.gz", np.ones((4, 4, 4), np.float32), np.eye(4))


@pytest.fixture
def patients(tmp_path):
    for name in ("anna-1", "bert"):
        path = tmp_path / "scans" / name / "series" / "IM0001"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(128) + b"DICM")
    return tmp_path / "scans"


def test_dicom_is_converted_and_series_are_identified(patients, converter):
    name, source = read_source(patients)
    assert name == "dicom"
    assert [case.name for case in source.cases] == ["anna-1", "bert"]
    files = source.cases[0]
    assert (files.images["dwi"].name, files.images["adc"].name) == ("5_trace.nii.gz", "6_adc.nii.gz")
    converter.unlink()
    converter.write_text("#!/bin/sh\necho Error: no pixels >&2\n")
    converter.chmod(0o755)
    assert read_source(patients)[1].cases == source.cases  # kept from before
    (patients / "bert" / "series" / "IM0002").write_bytes(b"more")
    _, source = read_source(patients)
    assert source.left_out == {
        str(patients / "bert"): "dcm2niix made no image of it (Error: no pixels); check that the series is complete"
    }


def test_dicom_without_dcm2niix_is_one_sentence(patients, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(__import__("sys").modules, "dcm2niix", None)
    with pytest.raises(InputError, match=r"dcm2niix, which converts them, is not installed; .*strokereg\[dicom\]"):
        read_source(patients)


def test_real_dicom_through_the_real_dcm2niix(tmp_path):
    """The Siemens mosaics that nibabel ships, where the extra `dicom` is installed."""
    dcm2niix = pytest.importorskip("dcm2niix", reason="the extra 'dicom' is not installed")
    scans = Path(nib.__file__).parent / "nicom" / "tests" / "data"
    if not (scans / "siemens_dwi_1000.dcm.gz").is_file():
        pytest.skip("this nibabel ships no DICOM files")
    assert subprocess.run([dcm2niix.bin, "-v"], capture_output=True, check=False).stdout
    patient = tmp_path / "scans" / "patient"
    patient.mkdir(parents=True)
    (patient / "1000.dcm").write_bytes(gzip.decompress((scans / "siemens_dwi_1000.dcm.gz").read_bytes()))
    name, source = read_source(tmp_path / "scans")
    assert name == "dicom"
    (files,) = source.cases
    assert files.images["dwi"].name.endswith(".nii.gz")
