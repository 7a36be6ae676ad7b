"""A mask library of the cohort's own training cases."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.simulate.anatomy import MNI_BOX
from strokereg.core.simulate.lesions import load_lesion
from strokereg.core.synthesis.mask_library import cohort_masks
from strokereg.registry.errors import InputError


def write_case(folder, name, affine, in_mni=False, lesion=True, depth=50):
    """A brain that fills all but five voxels at every side, with a lesion at one quarter of each of its edges."""
    brain, mask = np.zeros((2, 50, 60, depth), np.uint8)
    inner = slice(5, -5) if depth > 1 else slice(None)
    brain[5:-5, 5:-5, inner] = 2
    if lesion:
        middle = [5 + (n - 10) // 4 for n in (50, 60, depth)] if depth > 1 else [15, 17, 0]
        mask[tuple(slice(max(m - 2, 0), m + 3) for m in middle)] = 1
    paths = {}
    for part, data in (("dseg", brain + mask), ("mask", mask)):
        paths[part] = folder / f"{name}_{part}.nii.gz"
        write_volume(paths[part], data, affine, in_mni)
    return CaseFiles(name, name, {}, **paths)


def test_a_mask_is_brought_into_mni_space_by_the_box_of_its_brain(tmp_path):
    """On any axes: here the scan is stored from left to right, from front to back."""
    case = write_case(tmp_path, "sub-1", np.diag([-3.0, -4.0, 2.0, 1.0]))
    [path] = cohort_masks([case, write_case(tmp_path, "sub-2", np.eye(4), lesion=False)], tmp_path / "cache").glob(
        "*.gz"
    )
    assert path.name == "sub-1.nii.gz"
    centre = load_lesion(path).centre
    share = (centre - MNI_BOX[0]) / (MNI_BOX[1] - MNI_BOX[0])
    assert share == pytest.approx([0.75, 0.75, 0.25], abs=0.03)
    assert read_volume(path).data.sum() == 125  # voxels as they were drawn


def test_a_mask_in_mni_space_stays_where_it_is(tmp_path):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-50, -70, 18)
    case = write_case(tmp_path, "sub-1", affine, in_mni=True, depth=1)
    [path] = cohort_masks([case], tmp_path / "cache").glob("*.gz")
    assert np.allclose(nib.load(path).affine, affine)
    assert load_lesion(path).is_slice


def test_it_is_written_once_for_the_same_masks(tmp_path):
    case = write_case(tmp_path, "sub-1", np.eye(4))
    folder = cohort_masks([case], tmp_path / "cache")
    before = (folder / "sub-1.nii.gz").stat().st_mtime_ns
    (folder / "complete").unlink()  # as if it had been interrupted
    assert cohort_masks([case], tmp_path / "cache") == folder
    again = (folder / "sub-1.nii.gz").stat().st_mtime_ns
    assert cohort_masks([case], tmp_path / "cache") == folder
    assert before < again == (folder / "sub-1.nii.gz").stat().st_mtime_ns
    other = write_case(tmp_path, "sub-1", np.diag([2.0, 2.0, 2.0, 1.0]))
    assert cohort_masks([other], tmp_path / "cache") != folder
    with pytest.raises(InputError, match="--mask-library cohort: no training case has a lesion"):
        cohort_masks([write_case(tmp_path, "sub-3", np.eye(4), lesion=False)], tmp_path / "cache")
