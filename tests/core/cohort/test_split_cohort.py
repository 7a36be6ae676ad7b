import shutil

import numpy as np
import pytest

from strokereg.core.cohort.checks.check import check_data
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.split_cohort import split_cohort
from strokereg.core.scan.nifti import write_volume
from strokereg.registry.errors import InputError


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
    assert split_cohort(unsplit) == [unsplit / "split.tsv"]
    split = open_cohort(unsplit).split
    assert (len(split.train), len(split.val), len(split.test)) == (12, 2, 6)
    # Stratified: small and large lesions on both sides.
    assert {int(s[-4:]) > 10 for s in split.test} == {True, False}


def test_an_existing_split_stands(unsplit):
    before = split_cohort(unsplit, seed=0)[0].read_text()
    with pytest.raises(InputError, match=r"split\.tsv: exists already"):
        split_cohort(unsplit, seed=1)
    assert (unsplit / "split.tsv").read_text() == before


def test_a_case_without_mask_is_named(unsplit):
    shutil.rmtree(unsplit / "derivatives" / "manual" / "sub-0007")
    with pytest.raises(InputError, match="sub-0007 has no lesion mask"):
        split_cohort(unsplit)
    assert not (unsplit / "split.tsv").exists()


def test_folds_test_every_subject_once_and_stand(unsplit):
    paths = split_cohort(unsplit, folds=4)
    assert [path.name for path in paths] == [f"split_fold-{k}.tsv" for k in (1, 2, 3, 4)]
    splits = [open_cohort(unsplit, fold).split for fold in (1, 2, 3, 4)]
    assert sorted(s for split in splits for s in split.test) == [f"sub-{i:04d}" for i in range(1, 21)]
    for split in splits:
        assert (len(split.train), len(split.val), len(split.test)) == (13, 2, 5)
        assert len({*split.train, *split.val, *split.test}) == 20
        assert {int(s[-4:]) > 10 for s in split.test} == {True, False}
    assert open_cohort(unsplit, 2).name == "cohort, fold 2"
    assert open_cohort(unsplit).split is None
    before = [path.read_text() for path in paths]
    with pytest.raises(InputError, match=r"split_fold-1\.tsv: exists already"):
        split_cohort(unsplit, folds=2, seed=1)
    assert [path.read_text() for path in paths] == before
    assert "split" not in {finding.rule for finding in check_data(unsplit).findings}
    paths[1].write_text(paths[1].read_text() + "sub-0001\ttest\nsub-0001\ttrain\n")
    assert any("split_fold-2.tsv: sub-0001 is in" in str(f) for f in check_data(unsplit).errors)


@pytest.mark.parametrize(("folds", "fault"), [(1, "needs at least 2"), (21, "has 20 subjects; ask for fewer folds")])
def test_folds_that_cannot_be(unsplit, folds, fault):
    with pytest.raises(InputError, match=f"--folds {folds}: .*{fault}"):
        split_cohort(unsplit, folds=folds)
    with pytest.raises(InputError, match=r"--fold 3: .* has no split_fold-3\.tsv"):
        open_cohort(unsplit, 3)


def test_the_subjects_of_one_site_are_tested(unsplit):
    rows = "".join(f"sub-{i + 1:04d}\t{'north' if i % 3 == 0 else 'south'}\n" for i in range(20))
    (unsplit / "participants.tsv").write_text(f"participant_id\tsite\n{rows}")
    for wrong, said in (("noth", "no such site; it has north, south .did you mean"), ("x", "it has north, south")):
        with pytest.raises(InputError, match=said):
            split_cohort(unsplit, test_site=wrong)
    with pytest.raises(InputError, match="--folds and --test-site"):
        split_cohort(unsplit, folds=3, test_site="north")
    split_cohort(unsplit, test_site="north")
    split = open_cohort(unsplit).split
    assert split.test == tuple(f"sub-{i + 1:04d}" for i in range(0, 20, 3))
    assert (len(split.train), len(split.val)) == (11, 2)
    assert {int(s[-4:]) > 10 for s in split.val} == {True, False}
