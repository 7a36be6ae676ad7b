"""BIDS with several b-values and with several files of a kind."""

from __future__ import annotations

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
