"""BIDS with several b-values and with several files of a kind."""

from __future__ import annotations

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.open import read_source


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
