"""Files of any naming, paired by patterns."""

from __future__ import annotations

from strokereg.core.cohort.importing.naming import name_visits
from strokereg.core.cohort.open import read_source


def test_a_folder_of_any_naming(touch):
    root = touch("a/p1_dwi.nii.gz", "b/p1_lesion.nii.gz", "a/p2_dwi.nii", "b/p3_lesion.nii.gz", "a/notes_dwi.txt")
    _, source = read_source(root, "folder", {"images": "*_dwi.nii*", "masks": "*_lesion.nii.gz"})
    assert [(case.name, case.mask and case.mask.name) for case in source.cases] == [
        ("p1", "p1_lesion.nii.gz"),
        ("p2", None),
    ]
    assert list(source.left_out) == [str(root / "b/p3_lesion.nii.gz")]
    _, source = read_source(root, "folder", {"images": "a/*_dwi.nii.gz", "masks": "b/*_lesion.nii.gz"})
    assert [case.name for case in source.cases] == ["p1"]


def test_subjects_of_a_folder_are_found_by_name(touch):
    root = touch("sub-r1_ses-2_space-MNI_T1w.nii.gz", "p07-late_b1000.nii", "p07-early_b1000.nii")
    _, source = read_source(root, "folder", {"images": "*_T1w.nii.gz"})
    assert [(case.name, case.subject) for case in source.cases] == [("sub-r1_ses-2", "sub-r1")]
    _, source = read_source(root, "folder", {"images": "*_b1000.nii", "subject": r"p\d+"})
    visits, left_out = name_visits(source.cases)
    assert [visit.name for visit in visits] == ["sub-p07_ses-early", "sub-p07_ses-late"]
    assert left_out == {}


def test_patterns_for_any_ending(touch):
    root = touch("p1_dwi.nii.gz", "p2_dwi.nii", "p3_dwi.mgz", "p3_dwi.json", "p4_dwi.hdr", "p4_dwi.img")
    for pattern, names in (
        ("*_dwi.*", ["p1", "p2", "p3", "p4"]),
        ("*_dwi.nii.*", ["p1"]),
        ("*_dwi.mgz", ["p3"]),
        ("*_dwi*", ["p1", "p2", "p3", "p4"]),
    ):
        _, source = read_source(root, "folder", {"images": pattern})
        assert ([case.name for case in source.cases], source.left_out) == (names, {})


def test_several_matches_of_one_case_are_told_with_the_fix(touch):
    root = touch("a/p1_dwi.nii.gz", "a/p1_dwi.nii", "b/p1_dwi.nii")
    _, source = read_source(root, "folder", {"images": "*_dwi.*"})
    first = root / "a/p1_dwi.nii"
    assert source.left_out == {
        str(root / "a/p1_dwi.nii.gz"): f"is a second file for 'p1' beside {first}; give the ending in the pattern",
        str(root / "b/p1_dwi.nii"): f"is a second file for 'p1' beside {first}; add the folder to the pattern",
    }


def test_the_suffix_of_a_file_name_is_the_contrast(touch):
    root = touch("a_flair.nii.gz", "b_flair.nii.gz", "c.nii.gz")
    _, source = read_source(root, "folder", {"images": "*_flair.nii.gz"})
    assert [list(case.images) for case in source.cases] == [["FLAIR"], ["FLAIR"]]
    _, source = read_source(root, "folder", {"images": "c*.nii.gz"})
    assert [list(case.images) for case in source.cases] == [["dwi"]]
