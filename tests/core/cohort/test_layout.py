"""strokereg's own layout: what is listed, and what other BIDS datasets look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.layout import folder_of, is_plain, list_cases, recognises, table_path


def test_cases_are_listed_with_their_derivatives(phantom):
    assert recognises(phantom)
    assert table_path(phantom) == phantom / "derivatives" / "truth" / "dseg.tsv"
    cases = list_cases(phantom)
    assert [case.name for case in cases] == ["sub-01", "sub-02", "sub-03"]
    assert set(cases[0].parts) == {"dwi", "adc", "mask", "dseg"}
    assert cases[0].mask.name == "sub-01_desc-lesion_mask.nii.gz"


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
    assert folder_of("sub-1", "ses-2") == Path("sub-1/ses-2/dwi")
