import shutil

import numpy as np
import pytest

from strokereg.core.cohort import open_cohort
from strokereg.core.divide import divide_cohort
from strokereg.core.errors import InputError
from strokereg.core.nifti import write_volume


@pytest.fixture
def unsplit(tmp_path):
    """Twenty cases of a few voxels, lesions of growing size, no split."""
    root = tmp_path / "cohort"
    for i in range(20):
        name = f"sub-{i + 1:04d}"
        raw, derived = root / name / "dwi", root / "derivatives" / "manual" / name / "dwi"
        raw.mkdir(parents=True)
        derived.mkdir(parents=True)
        write_volume(raw / f"{name}_dwi.nii.gz", np.ones((4, 4, 4), np.float32), np.eye(4))
        mask = (np.arange(64) < i + 1).reshape(4, 4, 4).astype(np.uint8)
        write_volume(derived / f"{name}_desc-lesion_mask.nii.gz", mask, np.eye(4))
    (root / "dataset_description.json").write_text('{"Name": "mine", "BIDSVersion": "1.10.0"}')
    return root


def test_every_subject_gets_one_place(unsplit):
    assert divide_cohort(unsplit) == unsplit / "split.tsv"
    split = open_cohort(unsplit).split
    assert (len(split.train), len(split.val), len(split.test)) == (12, 2, 6)
    # Stratified: small and large lesions on both sides.
    assert {int(s[-4:]) > 10 for s in split.test} == {True, False}


def test_an_existing_split_stands(unsplit):
    before = divide_cohort(unsplit, seed=0).read_text()
    with pytest.raises(InputError, match=r"split\.tsv: exists already"):
        divide_cohort(unsplit, seed=1)
    assert (unsplit / "split.tsv").read_text() == before


def test_a_case_without_mask_is_named(unsplit):
    shutil.rmtree(unsplit / "derivatives" / "manual" / "sub-0007")
    with pytest.raises(InputError, match="sub-0007 has no lesion mask"):
        divide_cohort(unsplit)
    assert not (unsplit / "split.tsv").exists()
