"""BIDS with several b-values and with several files of a kind."""

from __future__ import annotations

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.open import read_folder, read_source


def test_bids_with_several_b_values_and_with_a_choice(touch):
    root = touch(
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


def test_bids_without_dwi_keeps_its_folders_and_space(flair_cohort, tmp_path):
    done = import_data(flair_cohort, tmp_path / "out")
    assert (done.reader, done.left_out, done.warnings) == ("bids", {}, ())
    before, after = open_cohort(flair_cohort), open_cohort(tmp_path / "out")
    assert after.split == before.split
    for source, case in zip(before.cases, after.cases, strict=True):
        assert case.images["FLAIR"].relative_to(after.root) == source.images["FLAIR"].relative_to(before.root)
        assert case.mask.name == source.mask.name
        assert case.images["FLAIR"].read_bytes() == source.images["FLAIR"].read_bytes()
    assert import_data(flair_cohort, tmp_path / "out").found == done.imported


def test_two_different_lesion_masks_of_a_visit_are_refused(touch):
    masks = [f"derivatives/x/sub-1/dwi/sub-1_space-TRACE_desc-{kind}_mask.nii.gz" for kind in ("lesion", "lesionAcute")]
    root = touch("dataset_description.json", "sub-1/dwi/sub-1_rec-TRACE_dwi.nii.gz", *masks)
    (root / masks[0]).write_bytes(b"acute and chronic")
    (root / masks[1]).write_bytes(b"acute")
    _, source = read_source(root, "bids")
    assert source.left_out == {
        "sub-1": "has 2 files for its lesion mask, sub-1_space-TRACE_desc-lesionAcute_mask.nii.gz and "
        "sub-1_space-TRACE_desc-lesion_mask.nii.gz; choose with --set mask=PATTERN"
    }
    (case,) = read_source(root, "bids", {"mask": "*Acute*"})[1].cases
    assert case.mask == root / masks[1]
    (root / masks[1]).write_bytes(b"acute and chronic")
    (case,) = read_source(root, "bids")[1].cases
    assert case.mask in (root / masks[0], root / masks[1])


def test_anatomical_images_beside_a_dwi(touch):
    root = touch(
        "dataset_description.json",
        "sub-1/dwi/sub-1_dwi.nii.gz",
        "sub-1/anat/sub-1_FLAIR.nii.gz",
        "sub-1/anat/sub-1_run-1_T1w.nii.gz",
        "sub-1/anat/sub-1_run-2_T1w.nii.gz",
        "sub-2/anat/sub-2_FLAIR.nii.gz",
        dataset_description_json="{}",
    )
    (case,) = read_source(root, "bids")[1].cases
    assert (case.name, list(case.images), case.first) == ("sub-1", ["dwi", "FLAIR"], "dwi")
    (case,) = read_source(root, "bids", {"anat": "*run-2*"})[1].cases
    assert list(case.images) == ["dwi", "T1w"]


def raw(*names):
    return ("dataset_description.json", *names)


def test_lesion_masks_by_label_by_sidecar_and_beside_the_raw_images(touch):
    root = touch(
        *raw(*(f"sub-{i}/anat/sub-{i}_T1w.nii.gz" for i in range(1, 5))),
        "sub-1/anat/sub-1_T1w_label-lesion_roi.nii.gz",
        "derivatives/a/sub-2/anat/sub-2_space-orig_mask.nii.gz",
        "derivatives/a/sub-2/anat/sub-2_space-orig_mask.json",
        "derivatives/a/sub-3/anat/sub-3_mask.nii.gz",
        "derivatives/sub-4/anat/sub-4_desc-lesion_mask.nii.gz",
        **{
            "sub-2_space-orig_mask_json": '\ufeff{"Type": "Lesion"}',
            "sub-3_mask_json": '{"Type": "Brain"}',
            "dataset_description_json": "{}",
        },
    )
    _, source = read_source(root, "bids")
    assert [case.mask and case.mask.name for case in source.cases] == [
        "sub-1_T1w_label-lesion_roi.nii.gz", "sub-2_space-orig_mask.nii.gz", None, "sub-4_desc-lesion_mask.nii.gz"
    ]  # fmt: skip
    assert tuple(read_folder(root).cases) == tuple(source.cases)


def test_a_mask_without_session_belongs_to_the_only_one(touch):
    root = touch(
        *raw("sub-1/ses-a/dwi/sub-1_ses-a_dwi.nii.gz"),
        *(f"sub-2/ses-{s}/dwi/sub-2_ses-{s}_dwi.nii.gz" for s in "ab"),
        *(f"derivatives/x/sub-{i}/sub-{i}_desc-lesion_mask.nii.gz" for i in (1, 2, "01")),
    )
    _, source = read_source(root, "bids")
    assert [bool(case.mask) for case in source.cases] == [True, False, False]
    assert sorted(source.left_out.values()) == [
        "belongs to one of 2 sessions, but does not name it; add it to the name",
        "has no image; add the images of sub-01, or correct the name",
    ]


def test_one_of_several_label_maps_is_chosen(touch):
    maps = [f"derivatives/fmriprep/sub-1/anat/sub-1_desc-{kind}_dseg.nii.gz" for kind in ("aseg", "aparcaseg")]
    root = touch(*raw("sub-1/anat/sub-1_T1w.nii.gz"), *maps)
    assert "has 2 files for its label map" in read_source(root, "bids")[1].left_out["sub-1"]
    (case,) = read_source(root, "bids", {"dseg": "*desc-aseg*"})[1].cases
    assert case.dseg == root / maps[0]
    touch("derivatives/fmriprep/sub-1/anat/sub-1_dseg.nii.gz")
    (case,) = read_source(root, "bids")[1].cases
    assert case.dseg.name == "sub-1_dseg.nii.gz"


def test_derivatives_may_lie_beside_the_raw_data(touch):
    top = touch(
        "rawdata/dataset_description.json",
        "rawdata/sub-1/dwi/sub-1_dwi.nii.gz",
        "derivatives/x/sub-1/dwi/sub-1_desc-lesion_mask.nii.gz",
    )
    (case,) = read_source(top / "rawdata", "bids", {"derivatives": str(top / "derivatives")})[1].cases
    assert case.mask.name == "sub-1_desc-lesion_mask.nii.gz"
