"""What a header says about the place of a scan, and what in it contradicts itself."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.scan.placement import contradiction, is_sheared, nearest_rectangular
from strokereg.registry.errors import FileFault

SFORM = np.array([[-2.0, 0, 0, 20], [0, 2, 0, -30], [0, 0, 3, 5], [0, 0, 0, 1]])
SHAPE = (10, 12, 8)


def turned(angle):
    return nib.affines.from_matvec(nib.eulerangles.euler2mat(angle, 0, 0), [0, 0, 0]) @ SFORM


def shifted(distance):
    moved = SFORM.copy()
    moved[0, 3] += distance
    return moved


def save(path, qform, sform=SFORM):
    image = nib.Nifti1Image(np.ones(SHAPE, np.float32), sform)
    image.set_sform(sform, 1)
    image.set_qform(qform, 1)
    nib.save(image, path)
    return path


def with_sizes(path, sizes, sform):
    image = nib.Nifti1Image(np.ones(SHAPE, np.float32), SFORM)
    image.set_sform(SFORM, int(sform))
    image.set_qform(SFORM, int(not sform))
    raw = bytearray(image.to_bytes())
    np.frombuffer(raw, nib.Nifti1Header().template_dtype, count=1)["pixdim"][0, 1:4] = sizes
    path.write_bytes(bytes(raw))
    return path


@pytest.mark.parametrize(
    ("qform", "fault"),
    [
        (SFORM @ np.diag([-1.0, 1, 1, 1]), "one is mirrored, the sform has the axes LAS and the qform RAS"),
        (shifted(10), "one is shifted, by up to 10 mm"),
        (SFORM @ np.diag([1.0, 1, 2, 1]), "voxels of 2 × 2 × 3 mm in the sform and 2 × 2 × 6 mm in the qform"),
        (turned(0.2), "one is turned, by up to"),
        (SFORM, None),
        (shifted(0.05), None),  # a hundredth of a voxel or so is rounding
    ],
)
def test_forms_that_contradict_are_noted_and_can_be_chosen(tmp_path, qform, fault):
    path = save(tmp_path / "a.nii.gz", qform)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, SFORM)
    assert [note.rule for note in volume.notes] == (["forms"] if fault else [])
    if fault:
        assert fault in volume.notes[0].fault
        assert volume.notes[0].fault.endswith("the sform is used")
        other = read_volume(path, prefer="qform")
        np.testing.assert_allclose(other.affine, qform, atol=1e-4)
        assert other.notes[0].fault.endswith("the qform is used")


@pytest.mark.parametrize("sizes", [(0, 0, 0), (0, 2, 3), (-2, 2, 3)])
def test_voxel_sizes_of_zero_or_less(tmp_path, sizes, caplog, capfd):
    numbers = " × ".join(f"{size:g}" for size in sizes)
    path = with_sizes(tmp_path / "a.nii", sizes, sform=True)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, SFORM)
    assert [note.fault for note in volume.notes] == [f"its header gives voxel sizes of {numbers} mm; the sform is used"]
    with pytest.raises(FileFault, match=f"its header gives voxel sizes of {numbers} mm; correct pixdim"):
        read_volume(with_sizes(tmp_path / "b.nii", sizes, sform=False))
    assert (caplog.text, capfd.readouterr().err) == ("", "")  # nothing of nibabel's own


def sheared():
    affine = SFORM.copy()
    affine[0, 1] = 0.3
    return affine


def test_shear_is_noted_and_has_a_nearest_form_without(tmp_path):
    assert is_sheared(sheared())
    near = nearest_rectangular(sheared())
    assert not is_sheared(near)
    np.testing.assert_allclose(np.linalg.norm(near, axis=0), np.linalg.norm(sheared(), axis=0))
    assert contradiction(sheared(), near, SHAPE) == ""
    volume = read_volume(write_volume(tmp_path / "a.nii", np.ones(SHAPE, np.uint8), sheared()))
    assert [note.rule for note in volume.notes] == ["sheared"]
    np.testing.assert_allclose(volume.affine, sheared(), atol=1e-6)


@pytest.mark.parametrize("affine", [SFORM, turned(0.2), sheared()], ids=["straight", "turned", "sheared"])
def test_what_is_written_has_both_forms_and_opens_in_itk(tmp_path, affine):
    path = write_volume(tmp_path / "a.nii.gz", np.ones(SHAPE, np.uint8), affine)
    header = nib.load(path).header
    assert (header["sform_code"], header["qform_code"]) == (1, 1)
    near = nearest_rectangular(affine)
    np.testing.assert_allclose(header.get_sform(), affine, atol=1e-5)
    np.testing.assert_allclose(header.get_qform(), near, atol=1e-3)
    sitk = pytest.importorskip("SimpleITK", reason="the extra 'formats' is not installed")
    image = sitk.ReadImage(str(path))
    read = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    np.testing.assert_allclose(np.diag([-1.0, -1, 1]) @ read, near[:3, :3], atol=1e-3)


def test_the_rounding_of_a_qform_is_no_contradiction():
    """As of oblique LAS scans, which are turned by nearly 180°: the quaternion is off by some 0.001."""
    header, shape, largest = nib.Nifti1Header(), (240, 240, 60), 0.0
    for angles in np.random.default_rng(0).normal(0.0, 0.02, (200, 3)):
        affine = nib.affines.from_matvec(
            nib.eulerangles.euler2mat(*angles) @ np.diag([-1.0, 1.0, 3.0]), [90, -126, -72]
        )
        header.set_qform(affine, 1)
        rounded = header.get_qform()
        largest = max(largest, np.abs((rounded - affine) @ [239, 239, 59, 1]).max())
        assert contradiction(affine, rounded, shape) == ""
    assert largest > 0.1  # more than a tenth of a voxel
    turn = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.004, 0, 0))
    assert "by up to" in contradiction(affine, turn @ affine, shape)
