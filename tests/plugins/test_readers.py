"""All readers together: each recognises its own layout among all others and lists its cases, without reading voxels."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.importing.transfer import ImportSettings
from strokereg.core.cohort.open import read_folder, read_source
from strokereg.core.scan.nifti import read_volume
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


def linked(store: Path, root: Path, depth: int) -> Path:
    """The store again: folders down to a depth are folders, and all below are links to those of the store."""
    root.mkdir(parents=True)
    for entry in store.iterdir():
        if entry.is_dir() and depth:
            linked(entry, root / entry.name, depth - 1)
        else:
            (root / entry.name).symlink_to(entry, entry.is_dir())
    return root


def annexed(store: Path, root: Path) -> Path:
    """The store again, each image a link into `.git/annex`, whose content has the same ending."""
    for number, path in enumerate(sorted(path for path in store.rglob("*") if path.is_file())):
        place = root / path.relative_to(store)
        place.parent.mkdir(parents=True, exist_ok=True)
        key = f"MD5E-s{number}{''.join(path.suffixes)}"
        content = root / ".git/annex/objects/x1/K9" / key / key
        content.parent.mkdir(parents=True)
        shutil.copyfile(path, content)
        place.symlink_to(content)
    return root


def anywhere(root):
    return touch(root, "a/b/p1_dwi.nii.gz", "a/b/p1_adc.nii.gz", "c/d/p1_lesion.nii.gz")


def atlas(root):
    stem = "Training/R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym"
    return touch(root, f"{stem}_T1w.nii.gz", f"{stem}_label-L_desc-T1lesion_mask.nii.gz")


PATTERNS = {"images": "*_dwi.nii.gz", "masks": "*_lesion.nii.gz", "adc": "*_adc.nii.gz"}
LINKED = {name: (layout[0], None, None) for name, layout in LAYOUTS.items()} | {
    "folder": (anywhere, "folder", PATTERNS),
    "folder by paths": (anywhere, "folder", {"images": "**/*_dwi.nii.gz"}),
    "atlas": (atlas, None, None),
}


@pytest.mark.skipif(os.name == "nt", reason="links take a right of their own on Windows")
@pytest.mark.parametrize("name", LINKED)
def test_links_are_followed_in_every_layout(tmp_path, name):
    make, reader, options = LINKED[name]
    store = make(tmp_path / "store")

    def listing(root):
        found = read_source(root, reader, options)
        parts = [
            (case.name, part, path.relative_to(root)) for case in found[1].cases for part, path in case.parts.items()
        ]
        return found[0], parts, found[1].left_out

    wanted = listing(store)
    assert len(wanted[1]) >= (1 if name == "folder by paths" else 2)
    for depth in range(4):
        assert listing(linked(store, tmp_path / f"folders{depth}", depth)) == wanted
    (tmp_path / "folders3" / "loop").symlink_to(tmp_path / "folders3")
    assert listing(tmp_path / "folders3") == wanted
    root = annexed(store, tmp_path / "annex")
    assert listing(root) == wanted
    small = [path for path in root.rglob("*.nii*") if path.is_symlink()]
    for path in small:
        path.resolve().unlink()  # 'git annex drop'
    assert listing(root) == wanted
    with pytest.raises(
        InputError, match="is a link to a file that is not here; fetch it, for instance with 'datalad get'"
    ):
        read_volume(small[0])


@pytest.mark.skipif(os.name == "nt", reason="links take a right of their own on Windows")
def test_a_cohort_of_links_is_a_cohort(phantom, tmp_path):
    for root in (linked(phantom, tmp_path / "folders", 1), annexed(phantom, tmp_path / "annex")):
        cohort = open_cohort(root)
        assert [case.parts.keys() for case in cohort.cases] == [
            case.parts.keys() for case in open_cohort(phantom).cases
        ]
        assert import_data(root, tmp_path / f"{root.name}-imported").left_out == {}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("ending", [".mgz", ".nrrd", ".hdr"])
def test_each_layout_may_hold_other_formats(tmp_path, name, ending):
    make, reader, case, *_ = LAYOUTS[name]
    for path in list(make(tmp_path).rglob("*.*")):
        if path.name.endswith((".nii.gz", ".nii")):
            path.rename(path.with_name(path.name.replace(".nii.gz", ending).replace(".nii", ending)))
        elif path.name == "dataset.json":
            path.write_text(path.read_text().replace(".nii.gz", ending))
    found, source = read_source(tmp_path)
    assert found == reader
    assert source.left_out == {}
    (files,) = source.cases
    assert files.name == case
    assert {path.name.endswith(ending) for path in (files.images["dwi"], files.images["adc"], files.mask)} == {True}


def test_masks_alone_are_named_as_such(tmp_path):
    masks = touch(tmp_path / "masks", "a_lesion.nii.gz", "b_lesion.nii.gz")
    with pytest.raises(InputError, match=r"masks or label maps without images, such as ._lesion\.nii\.gz, .*simulate'"):
        read_source(masks)
    with pytest.raises(InputError, match="it holds no image, so give another folder"):
        read_source(touch(tmp_path / "texts", "notes.txt"))


def test_two_files_for_one_channel_of_nnunet_are_refused(tmp_path):
    touch(nnunet(tmp_path), "imagesTr/stroke_12_0002.mha")
    assert read_source(tmp_path)[1].left_out == {
        "stroke_12": "has stroke_12_0002.nii.gz and stroke_12_0002.mha for one channel; remove one of them"
    }


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
    for part, path in files.parts.items():
        shutil.copy(real.get(part, real["dwi"]), path)
    if files.volumes:
        stack = np.stack([np.asarray(nib.load(real[part]).dataobj) for part in ("adc", "dwi")], axis=-1)
        nib.save(nib.Nifti1Image(stack, nib.load(real["dwi"]).affine), files.images["dwi"])
    done = import_data(tmp_path / "source", tmp_path / "cohort", ImportSettings(link=True))
    assert (done.reader, done.left_out, done.warnings) == (reader, {}, ())
    case = read_case(open_cohort(tmp_path / "cohort").cases[0], ("dwi", "adc"))
    assert case.mask.sum() * case.reference.voxel_ml == pytest.approx(4.184, abs=5e-4)
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
    assert case.mask.sum() * case.reference.voxel_ml == pytest.approx(4.184, abs=5e-4)
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


def broken_json(root):
    return touch(root, "dataset.json", "imagesTr/a_0000.nii.gz", dataset_json="{")


def nameless(root):
    return touch(
        root, "dataset.json", "imagesTr/a_0000.nii.gz", dataset_json=dataset(channel_names={"0": "a", "1": "b"})
    )


FAULTS = {
    "no reader knows this layout; installed are: atlas, bids, .*--images": (lambda r: touch(r, "x.nii.gz"), None, {}),
    r"no reader is named 'isles2' \(did you mean isles24 or isles22": (isles22, "isles2", {}),
    "the reader nnunet finds no case|not valid JSON": (isles22, "nnunet", {}),
    r"dataset\.json: not valid JSON": (broken_json, None, {}),
    r"its channels are 0 a, 1 b; choose the DWI with --set dwi=NUMBER": (nameless, None, {}),
    r"reader isles22 has no option 'dwi'": (isles22, "isles22", {"dwi": "1"}),
    "give a pattern for the names of the images": (isles22, "folder", {}),
    r"--images dwi\.nii: has no \*": (isles22, "folder", {"images": "dwi.nii"}),
    r"--masks \*_roi\.nii: matches no image": (
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
        import_data(make(tmp_path / "in"), tmp_path / "out", ImportSettings(reader, options or {}))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
