"""The built-in readers: each knows its own layout among all others, and lists what lies in it. No voxel is read."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing.naming import name_visits
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.open import read_folder, read_source
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.registry.errors import InputError

ISLES = "sub-strokecase0001/ses-0001"
ISLES_STEM = "sub-strokecase0001_ses-0001"


def touch(root: Path, *names: str, **texts: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts.get(path.name.replace(".", "_"), ""))
    return root


def dataset(**said):
    return json.dumps(said)


def isles22(root):
    return touch(
        root,
        *(f"rawdata/{ISLES}/{ISLES_STEM}_{kind}.nii.gz" for kind in ("dwi", "adc", "flair")),
        f"derivatives/{ISLES}/{ISLES_STEM}_msk.nii.gz",
    )


def isles22_archive(root):
    return touch(
        root,
        "dataset_description.json",
        *(f"{ISLES}/dwi/{ISLES_STEM}_{kind}.nii.gz" for kind in ("dwi", "adc")),
        f"{ISLES}/anat/{ISLES_STEM}_FLAIR.nii.gz",
        f"derivatives/{ISLES}/{ISLES_STEM}_msk.nii.gz",
        dataset_description_json="{}",
    )


def isles24(root):
    top = "derivatives/sub-stroke0001/ses-02/sub-stroke0001_ses-02"
    return touch(
        root / "train",
        "raw_data/sub-stroke0001/ses-01/sub-stroke0001_ses-01_ncct.nii.gz",
        "raw_data/sub-stroke0001/ses-02/sub-stroke0001_ses-02_dwi.nii.gz",
        *(f"{top}_space-ncct_{kind}.nii.gz" for kind in ("dwi", "adc", "lesion-msk")),
        f"{top}_lesion-msk.nii",
        "derivatives/sub-stroke0001/ses-01/sub-stroke0001_ses-01_space-ncct_cow-msk.nii.gz",
    ).parent


def soop(root):
    return touch(
        root,
        "dataset_description.json",
        "sub-7/anat/sub-7_T1w.nii.gz",
        "sub-7/dwi/sub-7_rec-ADC_dwi.nii.gz",
        "sub-7/dwi/sub-7_rec-TRACE_dwi.nii.gz",
        "derivatives/lesion_masks/sub-7/dwi/sub-7_space-TRACE_desc-lesion_mask.nii.gz",
        "derivatives/lesion_masks/sub-7/dwi/sub-7_space-MNI152NLin2009cAsym_desc-lesion_mask.nii.gz",
        dataset_description_json="{}",
    )


def nnunet(root):
    return touch(
        root,
        "dataset.json",
        *(f"imagesTr/stroke_12_{number:04d}.nii.gz" for number in range(3)),
        "imagesTs/stroke_13_0000.nii.gz",
        "labelsTr/stroke_12.nii.gz",
        dataset_json=dataset(
            channel_names={"0": "FLAIR", "1": "ADC", "2": "DWI"}, labels={"background": 0, "lesion": 1}
        ),
    )


def decathlon(root):
    pairs = [{"image": "./imagesTr/stroke_12.nii.gz", "label": "./labelsTr/stroke_12.nii.gz"}]
    return touch(
        root,
        "dataset.json",
        "imagesTr/stroke_12.nii.gz",
        "labelsTr/stroke_12.nii.gz",
        dataset_json=dataset(modality={"0": "ADC", "1": "DWI b1000"}, training=pairs),
    )


# name: layout, reader, case, subject, ends of its dwi, adc and mask
LAYOUTS = {
    "isles22": (isles22, "isles22", ISLES_STEM, ISLES_STEM[:18], "_dwi.nii.gz", "_adc.nii.gz", "_msk.nii.gz"),
    "isles22 as archived": (
        isles22_archive, "isles22", ISLES_STEM, ISLES_STEM[:18], "_dwi.nii.gz", "_adc.nii.gz", "_msk.nii.gz",
    ),
    "isles24": (
        isles24, "isles24", "sub-stroke0001_ses-02", "sub-stroke0001",
        "ncct_dwi.nii.gz", "ncct_adc.nii.gz", "ncct_lesion-msk.nii.gz",
    ),
    "soop": (
        soop, "bids", "sub-7", "sub-7", "TRACE_dwi.nii.gz", "ADC_dwi.nii.gz", "TRACE_desc-lesion_mask.nii.gz",
    ),
    "nnunet": (nnunet, "nnunet", "stroke_12", "stroke_12", "_0002.nii.gz", "_0001.nii.gz", "labelsTr/stroke_12.nii.gz"),
    "decathlon": (
        decathlon, "medical-decathlon", "stroke_12", "stroke_12",
        "imagesTr/stroke_12.nii.gz", "imagesTr/stroke_12.nii.gz", "labelsTr/stroke_12.nii.gz",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_is_known_by_one_reader(tmp_path, name):
    make, reader, case, subject, *ends = LAYOUTS[name]
    found, source = read_source(make(tmp_path))
    assert found == reader
    assert source.left_out == {}
    (files,) = source.cases
    assert (files.name, files.subject) == (case, subject)
    for path, end in zip((files.images["dwi"], files.images["adc"], files.mask), ends, strict=True):
        assert path.is_file()
        assert path.as_posix().endswith(end)
    assert files.volumes == ({"dwi": 1, "adc": 0} if name == "decathlon" else {})


def real_parts(real_data):
    top = real_data / "isles22"
    case = "sub-strokecase0009/ses-0001/sub-strokecase0009_ses-0001"
    parts = {"dwi": f"rawdata/{case}_dwi", "adc": f"rawdata/{case}_adc", "mask": f"derivatives/{case}_msk"}
    return {part: top / f"{name}.nii.gz" for part, name in parts.items()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_real_case_comes_in_from_every_layout(real_data, tmp_path, name):
    make, reader, *_ = LAYOUTS[name]
    (files,) = read_source(make(tmp_path / "source"))[1].cases
    real = real_parts(real_data)
    for part, path in {**files.images, "mask": files.mask}.items():
        shutil.copy(real[part], path)
    if files.volumes:
        stack = np.stack([np.asarray(nib.load(real[part]).dataobj) for part in ("adc", "dwi")], axis=-1)
        nib.save(nib.Nifti1Image(stack, nib.load(real["dwi"]).affine), files.images["dwi"])
    done = import_data(tmp_path / "source", tmp_path / "cohort", link=True)
    assert (done.reader, done.left_out, done.warnings) == (reader, {}, ())
    case = read_case(open_cohort(tmp_path / "cohort").cases[0], ("dwi", "adc"))
    assert case.mask.sum() * case.dwi.voxel_ml == pytest.approx(4.184, abs=5e-4)
    for part, volume in case.images.items():
        np.testing.assert_array_equal(volume.data, read_volume(real[part]).data)


@pytest.mark.parametrize("ending", [".nii", ".NII", ".NII.GZ"])
def test_endings_and_names_may_be_written_in_any_case(real_data, tmp_path, ending):
    for part, path in real_parts(real_data).items():
        raw = path.read_bytes()
        raw = raw if ending.lower().endswith(".gz") else gzip.decompress(raw)
        target = (tmp_path / "source" / path.relative_to(real_data / "isles22")).with_suffix("").with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        stem = target.name.removesuffix(f"_{part}")
        shout = part.upper() if ending.isupper() and part != "mask" else part
        target.with_name(f"{stem if part == 'mask' else f'{stem}_{shout}'}{ending}").write_bytes(raw)
    done = import_data(tmp_path / "source", tmp_path / "cohort")
    assert (done.reader, done.left_out, done.warnings) == ("isles22", {}, ())
    case = read_case(open_cohort(tmp_path / "cohort").cases[0], ("dwi", "adc"))
    assert case.mask.sum() * case.dwi.voxel_ml == pytest.approx(4.184, abs=5e-4)
    by_pattern = {"images": f"*_{'DWI' if ending.isupper() else 'dwi'}{ending}", "masks": f"*_msk{ending}"}
    (files,) = read_source(tmp_path / "source", "folder", by_pattern)[1].cases
    assert files.mask is not None
    with pytest.raises(InputError, match="differs in upper and lower case"):
        read_source(tmp_path / "source", "folder", {"images": f"*_dWi{ending}"})


def test_a_wrong_folder_names_the_right_one(tmp_path):
    top = isles22(tmp_path / "ISLES 22")
    for wrong in (top / "rawdata", top / "derivatives", tmp_path):
        with pytest.raises(InputError, match=r"no reader knows this layout, but .*ISLES 22 is isles22: give that"):
            read_source(wrong)
    with pytest.raises(InputError, match="is a file; give the folder"):
        read_source(next(top.rglob("*.nii.gz")))


def test_readers_of_cohorts(phantom, tmp_path):
    ours = shutil.copytree(phantom, tmp_path / "ours")
    (ours / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "strokereg data simulate"}]}')
    assert read_source(ours)[0] == "strokereg"
    assert read_source(phantom)[0] == "bids"  # made by hand, with nobody named as its maker
    for root in (ours, phantom):
        _, source = read_source(root)
        assert tuple(source.cases) == read_folder(root).cases
        assert source.table == next(root.glob("derivatives/*/dseg.tsv"))


def test_bids_with_several_b_values_and_with_a_choice(tmp_path):
    root = touch(
        tmp_path,
        "dataset_description.json",
        "sub-1/ses-2/dwi/sub-1_ses-2_dwi.nii.gz",
        "sub-1/ses-2/dwi/sub-1_ses-2_dwi.bval",
        "sub-2/dwi/sub-2_run-1_dwi.nii.gz",
        "sub-2/dwi/sub-2_run-2_dwi.nii.gz",
        "derivatives/manual/sub-1/ses-2/anat/sub-1_ses-2_label-stroke_mask.nii.gz",
        dataset_description_json="{}",
        **{"sub-1_ses-2_dwi_bval": "0 1000\n"},
    )
    _, source = read_source(root)
    (files,) = source.cases
    assert files.volumes == {"dwi": 1}
    assert files.mask is not None
    assert source.left_out == {
        "sub-2": "has 2 files for its DWI, sub-2_run-1_dwi.nii.gz and sub-2_run-2_dwi.nii.gz; "
        "choose with --set dwi=PATTERN"
    }
    _, source = read_source(root, "bids", {"dwi": "*run-2*"})
    assert [case.images["dwi"].name for case in source.cases] == ["sub-2_run-2_dwi.nii.gz"]


def test_a_folder_of_any_naming(tmp_path):
    root = touch(
        tmp_path, "a/p1_dwi.nii.gz", "b/p1_lesion.nii.gz", "a/p2_dwi.nii", "b/p3_lesion.nii.gz", "a/notes_dwi.txt"
    )
    _, source = read_source(root, "folder", {"images": "*_dwi.nii*", "masks": "*_lesion.nii.gz"})
    assert [(case.name, case.mask and case.mask.name) for case in source.cases] == [
        ("p1", "p1_lesion.nii.gz"),
        ("p2", None),
    ]
    assert list(source.left_out) == [str(root / "b/p3_lesion.nii.gz")]
    _, source = read_source(root, "folder", {"images": "a/*_dwi.nii.gz", "masks": "b/*_lesion.nii.gz"})
    assert [case.name for case in source.cases] == ["p1"]


def test_subjects_of_a_folder_are_told_by_their_names(tmp_path):
    root = touch(tmp_path, "sub-r1_ses-2_space-MNI_T1w.nii.gz", "p07-late_b1000.nii", "p07-early_b1000.nii")
    _, source = read_source(root, "folder", {"images": "*_T1w.nii.gz"})
    assert [(case.name, case.subject) for case in source.cases] == [("sub-r1_ses-2", "sub-r1")]
    _, source = read_source(root, "folder", {"images": "*_b1000.nii", "subject": r"p\d+"})
    visits, left_out = name_visits(source.cases)
    assert [visit.name for visit in visits] == ["sub-p07_ses-early", "sub-p07_ses-late"]
    assert left_out == {}


def broken_json(root):
    return touch(root, "dataset.json", "imagesTr/a_0000.nii.gz", dataset_json="{")


def nameless(root):
    return touch(
        root, "dataset.json", "imagesTr/a_0000.nii.gz", dataset_json=dataset(channel_names={"0": "T1", "1": "T2"})
    )


FAULTS = {
    "no reader knows this layout; installed are: bids, .*--images": (lambda r: touch(r, "x.nii.gz"), None, {}),
    r"no reader is named 'isles2' \(did you mean isles24 or isles22": (isles22, "isles2", {}),
    "the reader nnunet finds no case|not valid JSON": (isles22, "nnunet", {}),
    r"dataset\.json: not valid JSON": (broken_json, None, {}),
    r"its channels are 0 T1, 1 T2; choose the DWI with --set dwi=NUMBER": (nameless, None, {}),
    r"reader isles22 has no option 'dwi'": (isles22, "isles22", {"dwi": "1"}),
    "give a pattern for the names of the images": (isles22, "folder", {}),
    r"--images dwi\.nii: has no \*": (isles22, "folder", {"images": "dwi.nii"}),
    r"--masks \*_roi\.nii: matches no NIfTI file": (
        isles22,
        "folder",
        {"images": "*_dwi.nii.gz", "masks": "*_roi.nii"},
    ),
    "no such folder": (lambda r: r / "absent", None, {}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_read_is_one_sentence(tmp_path, fault):
    make, reader, options = FAULTS[fault]
    with pytest.raises(InputError, match=fault) as error:
        import_data(make(tmp_path / "in"), tmp_path / "out", reader, options=options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


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


def test_dicom_is_converted_and_told_apart(patients, converter):
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
