"""Reading and writing one volume: clear errors, nothing half written."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.scan.nifti import check_same_grid, find_images, read_volume, write_volume
from strokereg.registry.errors import InputError

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def save(path, data, affine=AFFINE):
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def truncated(path):
    whole = save(path, np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def with_nan(path):
    data = np.ones((4, 4, 4), np.float32)
    data[1, 1, 1] = np.nan
    return save(path, data)


def text(path):
    path.write_text("not an image")
    return path


def flat(path):
    """A header whose sform has a column of zeros; nibabel would not make one out of an affine."""
    header = nib.Nifti1Header()
    header["sform_code"], header["srow_x"][0], header["srow_z"][2] = 1, 2.0, 2.0
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.float32), None, header), path)
    return path


FAULTS = {
    "no such file": lambda path: path,
    "not a NIfTI": text,
    "truncated": truncated,
    "3D volume": lambda path: save(path, np.ones((4, 4, 4, 2), np.float32)),
    "cannot be inverted": flat,
    "NaN": with_nan,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_sentence_with_the_file(tmp_path, fault):
    path = FAULTS[fault](tmp_path / "scan.nii.gz")
    with pytest.raises(InputError, match=fault) as error:
        read_volume(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_4d_file_of_one_volume_and_integer_scaling(tmp_path):
    image = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2, 1), AFFINE)
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scan.nii")
    volume = read_volume(tmp_path / "scan.nii")
    assert volume.data.shape == (2, 2, 2)
    assert volume.spacing == (2.0, 2.0, 3.0)
    assert volume.voxel_ml == pytest.approx(0.012)


def test_writing_keeps_the_affine_and_leaves_nothing_else(tmp_path):
    oblique = AFFINE.copy()
    oblique[0, 1] = 0.3
    write_volume(tmp_path / "mask.nii.gz", np.ones((3, 4, 5), np.uint8), oblique)
    np.testing.assert_allclose(read_volume(tmp_path / "mask.nii.gz").affine, oblique, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["mask.nii.gz"]


@pytest.mark.parametrize(("name", "fault"), [("mask.png", "must end in"), ("absent/mask.nii.gz", "cannot be written")])
def test_places_that_cannot_be_written(tmp_path, name, fault):
    with pytest.raises(InputError, match=fault):
        write_volume(tmp_path / name, np.ones((3, 4, 5), np.uint8), AFFINE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "shift", "fault"),
    [((4, 4, 5), 0.0, "shape"), ((4, 4, 4), 0.5, "affines differ"), ((4, 4, 4), 1e-4, None)],
)
def test_another_grid_is_named(tmp_path, shape, shift, fault):
    first = read_volume(save(tmp_path / "a.nii", np.ones((4, 4, 4), np.float32)))
    moved = AFFINE.copy()
    moved[0, 3] += shift
    second = read_volume(save(tmp_path / "b.nii", np.ones(shape, np.float32), moved))
    if fault is None:
        check_same_grid(first, second)
    else:
        with pytest.raises(InputError, match=rf"b\.nii: lies on another grid.*a\.nii.*{fault}"):
            check_same_grid(first, second)


def test_an_ending_of_mixed_case_is_an_error_and_capitals_are_read(tmp_path):
    whole = save(tmp_path / "a.nii.gz", np.ones((3, 4, 5), np.float32))
    assert read_volume(whole.rename(tmp_path / "A.b.NII.GZ")).data.all()
    assert read_volume((tmp_path / "A.b.NII.GZ").rename(tmp_path / "A.b.nii.GZ")).data.all()
    mixed = (tmp_path / "A.b.nii.GZ").rename(tmp_path / "a.Nii.gz")
    with pytest.raises(InputError, match=r"a\.Nii\.gz: its ending \.Nii mixes upper and lower case; rename it"):
        read_volume(mixed)


@pytest.mark.parametrize(
    ("name", "code", "in_mni"),
    [("a", 1, False), ("a", 4, True), ("sub-1_space-MNI152NLin6Asym_FLAIR", 1, True), ("sub-1_space-orig", 2, False)],
)
def test_mni_space_is_known_by_name_or_header(tmp_path, name, code, in_mni):
    image = nib.Nifti1Image(np.ones((4, 4, 4), np.float32), AFFINE)
    image.set_sform(AFFINE, code)
    nib.save(image, tmp_path / f"{name}.nii")
    volume = read_volume(tmp_path / f"{name}.nii")
    assert (volume.in_mni, volume.placed) == (in_mni, True)


def test_images_of_every_ending_are_found(tmp_path):
    names = (
        "b/x.mgz",
        "a.hdr",
        "a.img",
        "a.mha",
        "a.nii",
        "a.nii.gz",
        "A.NRRD",
        "._a.nii",
        "a.json",
        "a.1.nii",
        "c.nii/no",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in find_images(tmp_path, "*")] == [
        "A.NRRD", "a.nii.gz", "a.nii", "a.hdr", "a.mha", "a.1.nii"
    ]  # fmt: skip
    assert [path.name for path in find_images(tmp_path, "a")] == ["a.nii.gz", "a.nii", "a.hdr", "a.mha"]
    assert [path.name for path in find_images(tmp_path, "**/x")] == ["x.mgz"]
