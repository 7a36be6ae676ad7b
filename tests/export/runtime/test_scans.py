"""Files, folders and cohorts → scans."""

import pytest

from strokereg.export.runtime.scans import find_labels, find_scans, stem
from strokereg.registry.errors import InputError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names(scans):
    return [scan.name for scan in scans]


def test_a_cohort_gives_its_cases_with_all_channels(phantom):
    scans = find_scans([phantom], ("dwi", "adc"))
    assert names(scans) == ["sub-01", "sub-02", "sub-03"]
    assert [path.name for path in scans[1].files] == ["sub-02_dwi.nii.gz", "sub-02_adc.nii.gz"]
    assert [scan.files[0].name for scan in find_labels([phantom])] == [f"sub-0{i}_dseg.nii.gz" for i in (1, 2, 3)]


def test_the_public_layout_of_isles_is_a_cohort(real_data):
    (scan,) = find_scans([real_data / "isles22"], ("dwi",))
    assert scan.files[0].name.endswith("_dwi.nii.gz")


def test_a_folder_gives_its_dwi_files_and_else_all_but_masks(tmp_path):
    mixed = touch(tmp_path / "mixed", "b/s2_dwi.nii.gz", "s1_dwi.nii", "s1_flair.nii.gz", "notes.txt")
    assert sorted(names(find_scans([mixed], ("dwi",)))) == ["s1", "s2"]
    plain = touch(tmp_path / "plain", "x.nii.gz", "y.nii", "x_desc-lesion_mask.nii.gz")
    assert names(find_scans([plain], ("dwi",))) == ["x", "y"]


def test_another_channel_lies_beside_the_first(tmp_path):
    touch(tmp_path, "s1_dwi.nii.gz", "s1_adc.nii")
    (scan,) = find_scans([tmp_path / "s1_dwi.nii.gz"], ("dwi", "adc"))
    assert scan.files == (tmp_path / "s1_dwi.nii.gz", tmp_path / "s1_adc.nii")


def test_what_cannot_be_told_apart_or_is_empty(tmp_path):
    touch(tmp_path, "a/s_dwi.nii.gz", "b/s_dwi.nii.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"b/s_dwi\.nii\.gz: its output would have the name of .*a/s_dwi\.nii\.gz's"):
        find_scans([tmp_path / "a", tmp_path / "b"], ("dwi",))
    with pytest.raises(InputError, match="empty: holds no NIfTI file to run"):
        find_scans([tmp_path / "empty"], ("dwi",))


def test_stems():
    from pathlib import Path

    assert [stem(Path(name), "dwi") for name in ("a_dwi.nii.gz", "a.nii", "_dwi.nii")] == ["a", "a", "_dwi"]
