"""Maps of another tool: which file belongs to a case, and how its codes become labels."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import Case
from strokereg.core.cohort.labels import TISSUES
from strokereg.core.scan.nifti import Volume, write_volume
from strokereg.core.tissue.external import Merge, find_map, merge_map
from strokereg.registry.errors import InputError

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def head(path, mask=None):
    """A case of 32 × 32 × 32 voxels of 4 mm."""
    return Case("sub-1", {"dwi": Volume(np.ones((32, 32, 32), np.float32), AFFINE, path)}, mask, None)


def codes(edge=32):
    """White matter around a ventricle."""
    data = np.zeros((edge,) * 3, np.int32)
    data[edge // 8 : -edge // 8, edge // 8 : -edge // 8, edge // 8 : -edge // 8] = 2
    data[3 * edge // 8 : -3 * edge // 8, 3 * edge // 8 : -3 * edge // 8, 3 * edge // 8 : -3 * edge // 8] = 4
    return data


@pytest.mark.parametrize("name", ["sub-1.nii.gz", "sub-1_dseg.nii", "sub-1.mgz", "sub-1/mri/aseg.mgz"])
def test_the_map_of_a_case_is_found_by_its_name(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    (tmp_path / "sub-10_dseg.nii.gz").touch()
    assert find_map(tmp_path, "sub-1") == tmp_path / name
    with pytest.raises(InputError, match=r"has no map of sub-2; add sub-2_dseg\.nii\.gz"):
        find_map(tmp_path, "sub-2")


def test_freesurfers_codes_become_tissues_with_the_lesion_on_top(tmp_path):
    path = write_volume(tmp_path / "map.nii.gz", codes(), AFFINE)
    mask = np.zeros((32, 32, 32), bool)
    mask[5:7, 5:7, 5:7] = True
    labels = merge_map(head(tmp_path, mask), path, Merge())
    assert [TISSUES.names[label] for label in (labels[8, 8, 8], labels[16, 16, 16])] == ["white", "ventricle"]
    assert np.array_equal(labels == TISSUES.lesion, mask)


def test_a_finer_grid_of_the_same_space_is_resampled(tmp_path):
    fine = codes().repeat(2, 0).repeat(2, 1).repeat(2, 2)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -1.0  # eight small voxels fill one
    path = write_volume(tmp_path / "map.nii.gz", fine, affine)
    same = write_volume(tmp_path / "same.nii.gz", codes(), AFFINE)
    assert np.array_equal(merge_map(head(tmp_path), path, Merge()), merge_map(head(tmp_path), same, Merge()))


def test_a_table_merges_codes_to_its_own_labels(tmp_path):
    (tmp_path / "t.tsv").write_text("index\tname\n0\tbackground\n2\ttissue\n4\tfluid\n9\tfluid\n")
    merge = Merge.read(tmp_path / "t.tsv")
    assert merge.table.names == ("background", "tissue", "fluid", "lesion")
    assert merge.apply(np.array([[0, 2], [9, 77]])).tolist() == [[0, 1], [2, 0]]
    with pytest.raises(InputError, match=r"absent\.tsv: cannot be read"):
        Merge.read(tmp_path / "absent.tsv")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (codes() * 0.5 + 0.2, "not a label map"),
        (codes() * 0, "gives 0 ml of labels on the grid of .*; give a map in that scan's space"),
    ],
)
def test_what_is_no_map_of_this_scan_is_refused(tmp_path, data, fault):
    path = tmp_path / "map.nii.gz"
    nib.save(nib.Nifti1Image(np.asarray(data, np.float32), AFFINE), path)
    with pytest.raises(InputError, match=fault):
        merge_map(head(Path("dwi.nii.gz")), path, Merge())
