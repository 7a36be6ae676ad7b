"""strokereg's own layout: what is listed, and what other BIDS datasets look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.layout import folder_of, is_plain, list_cases, recognises, table_path
from strokereg.registry.errors import FileFault


def test_cases_are_listed_with_their_derivatives(phantom):
    assert recognises(phantom)
    assert table_path(phantom) == phantom / "derivatives" / "truth" / "dseg.tsv"
    cases = list_cases(phantom)
    assert [case.name for case in cases] == ["sub-01", "sub-02", "sub-03"]
    assert set(cases[0].parts) == {"dwi", "adc", "mask", "dseg"}
    assert cases[0].mask.name == "sub-01_desc-lesion_mask.nii.gz"


def test_images_and_maps_of_other_formats_and_an_image_that_is_there_twice(tmp_path):
    for name in ("sub-1_dwi.mgz", "sub-2_dwi.nii", "._sub-3_dwi.nii"):
        path = tmp_path / name.lstrip("._").split("_")[0] / "dwi" / name
        path.parent.mkdir(parents=True)
        path.touch()
    mask = tmp_path / "derivatives" / "x" / "sub-1" / "dwi" / "sub-1_desc-lesion_mask.nrrd"
    mask.parent.mkdir(parents=True)
    mask.touch()
    assert [(case.name, case.mask) for case in list_cases(tmp_path)] == [("sub-1", mask), ("sub-2", None)]
    (tmp_path / "sub-2" / "dwi" / "sub-2_dwi.nii.gz").touch()
    with pytest.raises(FileFault, match=r"sub-2_dwi\.nii: lies beside sub-2_dwi\.nii\.gz; remove one of the two"):
        list_cases(tmp_path)


def test_a_folder_without_description_or_cases(tmp_path):
    assert not recognises(tmp_path)
    assert list_cases(tmp_path) == []
    assert table_path(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "plain"),
    [("sub-1", True), ("sub-1_ses-2", True), ("sub-1_acq-b1000", False), ("sub-1_ses-2_run-1", False)],
)
def test_names_with_more_than_subject_and_session_are_of_others(name, plain):
    assert is_plain([CaseFiles(name, "sub-1", {})]) is plain


def test_visits_have_a_folder_each():
    assert folder_of("sub-1", None) == Path("sub-1/dwi")
    assert folder_of("sub-1", "ses-2", "anat") == Path("sub-1/ses-2/anat")


def test_cohorts_without_dwi_are_listed_by_their_anatomical_image(tmp_path):
    def touch(*parts):
        path = tmp_path.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    for subject in ("sub-1", "sub-2"):
        touch(subject, "anat", f"{subject}_space-MNI152NLin6Asym_FLAIR.nii.gz")
    touch("sub-1", "anat", "sub-1_space-MNI152NLin6Asym_T1w.nii.gz")
    touch("sub-3", "ses-1", "anat", "sub-3_ses-1_T1w.nii.gz")
    touch("derivatives", "x", "sub-1", "anat", "sub-1_space-MNI152NLin6Asym_desc-lesion_mask.nii.gz")
    touch("derivatives", "x", "sub-1", "anat", "sub-1_space-MNI152NLin6Asym_dseg.nii.gz")
    first, second, third = list_cases(tmp_path)
    assert (first.name, first.subject, list(first.images)) == ("sub-1", "sub-1", ["FLAIR", "T1w"])
    assert first.mask.parent == first.dseg.parent == tmp_path / "derivatives" / "x" / "sub-1" / "anat"
    assert (second.name, list(second.images), second.mask) == ("sub-2", ["FLAIR"], None)
    assert (third.name, third.subject, list(third.images)) == ("sub-3_ses-1", "sub-3", ["T1w"])
    touch("sub-5", "dwi", "sub-5_adc.nii.gz")
    assert [case.name for case in list_cases(tmp_path)] == ["sub-1", "sub-2", "sub-3_ses-1"]
    touch("sub-4", "dwi", "sub-4_dwi.nii.gz")
    touch("sub-4", "dwi", "sub-4_ADC.nii.gz")
    touch("sub-4", "anat", "sub-4_flair.nii.gz")
    touch("derivatives", "x", "sub-4", "anat", "sub-4_desc-lesion_mask.nii.gz")
    (case,) = list_cases(tmp_path)
    assert (case.name, list(case.images), case.first) == ("sub-4", ["dwi", "FLAIR", "adc"], "dwi")
    assert case.mask.name == "sub-4_desc-lesion_mask.nii.gz"
