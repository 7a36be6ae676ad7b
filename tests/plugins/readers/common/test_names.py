"""BIDS-like names."""

from __future__ import annotations

from pathlib import Path

from strokereg.plugins.readers.common.names import parse_all, parse_name


def test_the_parts_of_a_name():
    name = parse_name(Path("sub-01_ses-1_rec-TRACE_DWI.nii.gz"))
    assert name.entities == {"sub": "01", "ses": "1", "rec": "TRACE"}
    assert (name.suffix, name.case, name.visit) == ("dwi", "sub-01_ses-1", ("sub-01", "ses-1"))
    assert parse_name(Path("sub-s1_lesion-msk.nii.gz")).suffix == "lesion-msk"
    assert parse_name(Path("sub-01_dwi.json")) is None
    assert parse_name(Path("t1_dwi.nii.gz")) is None


def test_hidden_files_are_ignored_and_the_rest_is_sorted():
    paths = [Path("b/sub-2_dwi.nii"), Path("a/sub-3_dwi.nii"), Path("a/._sub-1_dwi.nii"), Path("a/notes.nii")]
    assert [name.case for name in parse_all(paths)] == ["sub-3", "sub-2"]
