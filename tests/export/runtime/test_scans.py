"""Files, folders and cohorts → scans."""

import pytest

from strokereg.export.runtime.scans import find_labels, find_scans, refuse_other_contrast, stem
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


def test_images_of_other_formats_are_found_in_a_folder(tmp_path):
    touch(
        tmp_path, "a_dwi.mgz", "a_adc.mha", "b_dwi.hdr", "b_dwi.img", "c_dwi.nrrd", "._d_dwi.nii.gz", "a_dwi_mask.mgz"
    )
    assert names(find_scans([tmp_path], ("dwi",))) == ["a", "b", "c"]
    (scan,) = find_scans([tmp_path / "a_dwi.mgz"], ("dwi", "adc"))
    assert scan.files[1] == tmp_path / "a_adc.mha"


def test_another_channel_lies_beside_the_first(tmp_path):
    touch(tmp_path, "s1_dwi.nii.gz", "s1_adc.nii")
    (scan,) = find_scans([tmp_path / "s1_dwi.nii.gz"], ("dwi", "adc"))
    assert scan.files == (tmp_path / "s1_dwi.nii.gz", tmp_path / "s1_adc.nii")


def test_what_cannot_be_told_apart_or_is_empty(tmp_path):
    touch(tmp_path, "a/s_dwi.nii.gz", "b/s_dwi.nii.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"b/s_dwi\.nii\.gz: its output would have the name of .*a/s_dwi\.nii\.gz's"):
        find_scans([tmp_path / "a", tmp_path / "b"], ("dwi",))
    with pytest.raises(InputError, match="empty: holds no image to run"):
        find_scans([tmp_path / "empty"], ("dwi",))


def test_stems():
    from pathlib import Path

    assert [stem(Path(name), "dwi") for name in ("a_dwi.nii.gz", "a.nii", "_dwi.nii")] == ["a", "a", "_dwi"]


def test_contrasts_in_the_folders_of_bids_and_in_any_spelling(tmp_path):
    touch(tmp_path, "sub-1/dwi/sub-1_dwi.nii.gz", "sub-1/anat/sub-1_flair.nii.gz", "s2_t1w.nii")
    (scan,) = find_scans([tmp_path / "sub-1/dwi/sub-1_dwi.nii.gz"], ("dwi", "FLAIR"))
    assert scan.files[1] == tmp_path / "sub-1/anat/sub-1_flair.nii.gz"
    assert names(find_scans([tmp_path], ("T1w",))) == ["s2"]
    assert names(find_scans([tmp_path], ("FLAIR",))) == ["sub-1"]


def test_a_scan_of_another_contrast_is_refused_by_name_or_sidecar(tmp_path):
    touch(tmp_path, "a_FLAIR.nii.gz", "a_trace.nii.gz", "b.nii.gz", "c.nii.gz", "d.nii.gz")
    refuse_other_contrast(tmp_path / "a_FLAIR.nii.gz", "FLAIR", "model.onnx")
    refuse_other_contrast(tmp_path / "a_trace.nii.gz", "dwi", "model.onnx")
    refuse_other_contrast(tmp_path / "b.nii.gz", "T1w", "model.onnx")  # says nothing
    with pytest.raises(
        InputError, match=r"a_FLAIR\.nii\.gz: is FLAIR by its name, but model\.onnx takes T1w; give a T1w"
    ):
        refuse_other_contrast(tmp_path / "a_FLAIR.nii.gz", "T1w", "model.onnx")
    (tmp_path / "c.json").write_text('{"SeriesDescription": "t2_flair_tra_dark-fluid", "ProtocolName": "t1_mprage"}')
    with pytest.raises(InputError, match=r"c\.nii\.gz: is FLAIR by its sidecar, but .* or --image T1w=.*c\.nii\.gz if"):
        refuse_other_contrast(tmp_path / "c.nii.gz", "T1w", "model.onnx")
    (tmp_path / "d.json").write_text("[1")
    refuse_other_contrast(tmp_path / "d.nii.gz", "T1w", "model.onnx")
