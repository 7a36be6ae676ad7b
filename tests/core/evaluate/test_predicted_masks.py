"""Masks of other tools: which file belongs to which case, and whether it fits its scan."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.evaluate.predicted_masks import match_masks, read_mask
from strokereg.core.scan.nifti import write_volume
from strokereg.registry.errors import InputError


def case(name: str) -> CaseFiles:
    return CaseFiles(name, name.split("_")[0], {"dwi": Path(f"{name}_dwi.nii.gz")})


@pytest.fixture
def match(tmp_path):
    """A function that finds the masks of cases among files of these names."""

    def do(names, *files):
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        found = match_masks(tmp_path, [case(name) for name in names])
        return {name: path.relative_to(tmp_path).as_posix() for name, path in found.items()}

    return do


@pytest.mark.parametrize(
    "file",
    [
        "sub-0007.nii.gz",
        "sub-0007.mha",
        "sub-0007_desc-lesion_mask.nii.gz",
        "derivatives/tool/sub-0007/dwi/sub-0007_desc-lesion_mask.nii",
        "ISLES_0007.nii.gz",
        "0007_pred.nii.gz",
    ],
)
def test_names_that_other_tools_give(match, file):
    assert match(["sub-0007"], file, "plans.json", "sub-00071.nii.gz", "ISLES_10007.nii.gz") == {"sub-0007": file}


def test_a_session_is_told_from_the_other_and_may_be_left_out_where_it_is_the_only_one(match):
    names = ["sub-1_ses-1", "sub-1_ses-2", "sub-2_ses-1"]
    files = ["sub-1_ses-1.nii.gz", "sub-1_ses-2_mask.nii.gz", "sub-2.nii.gz"]
    assert match(names, *files) == dict(zip(names, files, strict=True))


def test_a_mask_is_found_beside_its_scan(match):
    found = match(["sub-1"], "sub-1_dwi.nii.gz", "sub-1_adc.nii.gz", "sub-1_desc-lesion_mask.nii.gz")
    assert found == {"sub-1": "sub-1_desc-lesion_mask.nii.gz"}


def test_missing_and_ambiguous_masks(match, tmp_path):
    with pytest.raises(InputError, match=r"has no mask of sub-2 and of 1 more of the 3 cases; add sub-2.nii.gz, or"):
        match(["sub-1", "sub-2", "sub-3"], "sub-1.nii.gz", "sub-30.nii.gz")
    (tmp_path / "sub-1.nii.gz").unlink()
    with pytest.raises(
        InputError, match=r"sub-1_a_mask.nii.gz and sub-1_b_mask.nii.gz could both be the mask of sub-1"
    ):
        match(["sub-1"], "sub-1_a_mask.nii.gz", "sub-1_b_mask.nii.gz")


def test_masks_that_do_not_fit_the_scan(phantom, tmp_path):
    files = open_cohort(phantom).cases[0]
    read = read_case(files)
    scan, truth = read.reference, read.mask
    path = tmp_path / "mask.nii.gz"

    def refused(data, affine=scan.affine) -> str:
        write_volume(path, data, affine)
        with pytest.raises(InputError) as error:
            read_mask(path, scan)
        return str(error.value)

    numbers = truth.astype(np.float32)
    assert "holds 0 and 1 only, this one 0, 0.5 …; threshold it" in refused(0.5 * numbers)
    assert "another grid than sub-01_dwi.nii.gz (shape (30, 34, 21)" in refused(numbers[..., 1:])
    assert "affines differ by up to 2 mm" in refused(numbers, scan.affine + np.eye(4)[:, [3, 0, 1, 2]] * 2)
    assert "write it again with the affine of that scan" in refused(numbers, np.eye(4))
    nib.save(nib.Nifti1Image(truth.astype(np.uint8), scan.affine), path)
    assert np.array_equal(read_mask(path, scan), truth)
