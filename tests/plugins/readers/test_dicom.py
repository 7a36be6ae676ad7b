"""DICOM folders, converted by a stand-in for dcm2niix and by the real one."""

from __future__ import annotations

import gzip
import json
import locale
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.importing.run import import_data
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
    return write_volume(tmp_path / "cut.nii.gz", np.arange(64, dtype=np.float32).reshape(4, 4, 4), np.eye(4))


@pytest.fixture
def patients(tmp_path):
    for name in ("anna-1", "bert"):
        path = tmp_path / "scans" / name / "series" / "IM0001"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(128) + b"DICM")
    return tmp_path / "scans"


def test_linked_folders_and_files_of_dicom_are_found(patients, converter, tmp_path):
    linked = tmp_path / "linked"
    (linked / "bert").mkdir(parents=True)
    (linked / "anna-1").symlink_to(patients / "anna-1")
    (linked / "bert" / "IM0001").symlink_to(patients / "bert" / "series" / "IM0001")
    name, source = read_source(linked)
    assert (name, [case.name for case in source.cases]) == ("dicom", ["anna-1", "bert"])


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


class Series:
    """A stand-in for dcm2niix that writes given series and prints given lines before the one of each."""

    def __init__(self, program, home):
        self.program, self.home = program, home

    def writes(self, *series):
        """Each is (name, description, image type, b-values, warning)."""
        lines = ["#!/bin/sh", 'while [ "$1" != "-o" ]; do shift; done']
        for number, (name, description, kind, values, warning) in enumerate(series):
            sidecar = self.home / f"{number}.json"
            sidecar.write_text(json.dumps({"SeriesDescription": description, "ImageType": kind}))
            lines.append(f'cp {self.home / "cut.nii.gz"} "$2/{name}.nii.gz"; cp {sidecar} "$2/{name}.json"')
            lines += [f'echo "{values}" > "$2/{name}.bval"'] if values else []
            lines += [f'echo "{warning}"'] if warning else []
            lines.append(f'echo "Convert 4 DICOM as $2/{name} (4x4x4x1)"')
        self.program.write_text("\n".join(lines) + "\n")


@pytest.fixture
def series(converter, tmp_path):
    return Series(converter, tmp_path)


TRACE = ("2_trace", "ep2d_diff", ["DERIVED", "TRACEW"], "1000", "")
ADC = ("3_adc", "ep2d_diff_ADC", ["DERIVED", "ADC"], "", "")


@pytest.mark.parametrize(
    ("others", "adc"),
    [
        ([], "3_adc"),
        ([("1_eadc", "Exponential Apparent Diffusion Coefficient", ["DERIVED", "EADC"], "", "")], "3_adc"),
        ([("1_exp", "ep2d_diff_expADC", ["DERIVED", "ADC"], "", "")], "3_adc"),
        ([("1_fa", "ep2d_diff_FA", ["DERIVED", "FA"], "", "")], "3_adc"),
        ([("1_trace_b0", "ep2d_diff", ["DERIVED", "TRACEW"], "0", "")], "3_adc"),
        ([("2_trace_Eq_1", "ep2d_diff", ["DERIVED", "TRACEW"], "1000", "")], "3_adc"),  # slices moved by dcm2niix
    ],
)
def test_adc_and_trace_are_chosen_by_image_type_and_b_value(patients, series, others, adc):
    series.writes(*others, TRACE, ADC)
    source = read_source(patients)[1]
    assert source.left_out == {}
    for case in source.cases:
        assert {part: path.name for part, path in case.images.items()} == {
            "dwi": "2_trace.nii.gz",
            "adc": f"{adc}.nii.gz",
        }


@pytest.mark.parametrize("again", ["ep2d_diff_ADC", "3T ep2d_diff_ADC"])
def test_several_adc_maps_are_refused_and_listed(patients, series, again):
    series.writes(TRACE, ADC, ("1_adc", again, ["DERIVED", "ADC"], "", ""))
    source = read_source(patients)[1]
    assert source.cases == []
    reason = source.left_out[str(patients / "bert")]
    assert "has 2 series that could be the ADC map, of 1_adc (" in reason
    assert "3_adc (ep2d_diff_ADC DERIVED ADC); choose with --set adc=" in reason


def test_two_b_values_in_one_series_give_the_higher_one(patients, series):
    series.writes((*TRACE[:3], "0 1000", ""), ADC)
    assert [dict(case.volumes) for case in read_source(patients)[1].cases] == [{"dwi": 1}, {"dwi": 1}]


@pytest.mark.parametrize(
    "printed",
    [
        "Warning: Interslice distance varies in this volume (incompatible with NIfTI format).",
        "Unable to equalize slice distances: slice order not consistently ascending:",
    ],
)
def test_uneven_stacks_are_refused(patients, series, printed):
    series.writes((*TRACE[:4], printed), ADC)
    reason = read_source(patients)[1].left_out[str(patients / "bert")]
    assert reason.startswith("dcm2niix reports '")
    assert reason.endswith("', so slices are missing or uneven; export the series again")


def test_other_warnings_are_passed_on_with_their_series(patients, series, tmp_path):
    unused = ("1_t1", "mprage", ["ORIGINAL"], "", "Warning: Interslice distance varies in this volume")
    series.writes(unused, TRACE, (*ADC[:4], "Warning: Missing images? Expected 40 images, but only found 38."))
    done = import_data(patients, tmp_path / "out")
    assert done.imported == ("sub-anna1", "sub-bert")
    passed = [finding for finding in done.warnings if finding.rule == "conversion"]
    assert len(passed) == 2
    assert "3_adc.nii.gz: dcm2niix reports 'Missing images? Expected 40 images, but only found 38'" in str(passed[0])


def test_enhanced_multi_frame_files_of_a_scanner(real_data, tmp_path):
    """Siemens XA30, each series one file: trace, ADC, FA, colour FA and b = 0."""
    pytest.importorskip("dcm2niix", reason="the extra 'dicom' is not installed")
    if not (real_data / "dicom_xa30").is_dir():
        pytest.skip("no real DICOM here")
    source = read_source(real_data / "dicom_xa30")[1]
    assert (source.left_out, source.warnings) == ({}, {})
    kinds = {case.name: [path.name[3:] for path in case.images.values()] for case in source.cases}
    assert kinds == {
        "volAP": ["DWI_dir80_AP_TRACEW.nii.gz", "DWI_dir80_AP_ADC.nii.gz"],
        "volPA": ["DWI_dir80_PA_TRACEW.nii.gz", "DWI_dir80_PA_ADC.nii.gz"],
    }


@pytest.fixture
def kept_locale():
    """GDCM, which writes DICOM, changes the locale of the process, and with it the encoding of text files."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.mark.usefixtures("kept_locale")
def test_real_dicom_with_a_missing_slice_is_refused(tmp_path):
    pytest.importorskip("dcm2niix", reason="the extra 'dicom' is not installed")
    sitk = pytest.importorskip("SimpleITK", reason="the extra 'formats' is not installed")
    for patient, kept in (("complete", range(8)), ("gap", (0, 1, 2, 5, 6, 7))):
        folder = tmp_path / "scans" / patient
        folder.mkdir(parents=True)
        for number in kept:
            image = sitk.GetImageFromArray(np.full((16, 16), 10 * number + 5, np.int16))
            tags = {
                "0008|0016": "1.2.840.10008.5.1.4.1.1.4", "0008|0060": "MR", "0008|0008": "DERIVED\\PRIMARY\\TRACEW",
                "0008|103e": "trace", "0020|000d": "1.2.3", "0020|000e": "1.2.3.4", "0020|0011": "5",
                "0020|0013": str(number + 1), "0020|0032": f"0\\0\\{3 * number}",
                "0020|0037": "1\\0\\0\\0\\1\\0", "0018|0050": "3", "0018|0088": "3",
                "0008|0020": "20200101", "0008|0030": "101010", "0018|5100": "HFS", "0008|0070": "SIEMENS",
                "0008|0018": f"1.2.3.4.{number + 1}",
            }  # fmt: skip
            for tag, value in tags.items():
                image.SetMetaData(tag, value)
            writer = sitk.ImageFileWriter()
            writer.KeepOriginalImageUIDOn()
            writer.SetFileName(str(folder / f"{number}.dcm"))
            writer.Execute(image)
    source = read_source(tmp_path / "scans", "dicom")[1]
    assert [case.name for case in source.cases] == ["complete"], source.left_out
    (reason,) = source.left_out.values()
    assert "so slices are missing or uneven; export the series again" in reason
