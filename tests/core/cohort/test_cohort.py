"""Cohorts: what is accepted, and every fault in one sentence."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.cohort import has_label_maps, open_cohort, require_label_maps, require_trainable
from strokereg.core.cohort.open import read_folder
from strokereg.core.cohort.split import Split
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.registry.errors import InputError


@pytest.fixture
def root(phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "cohort")
    Split(("sub-01",), ("sub-02",), ("sub-03",)).write(root / "split.tsv")
    return root


def derived(root, what, subject="sub-01"):
    return root / "derivatives" / "truth" / subject / "dwi" / f"{subject}_{what}.nii.gz"


def change(path, function):
    volume = read_volume(path)
    write_volume(path, *function(volume.data, volume.affine))


def test_a_complete_cohort_is_trainable(root):
    cohort = open_cohort(root)
    require_trainable(cohort)
    case = read_case(cohort.part("train")[0], ("dwi", "adc"), cohort.table)
    assert case.labels.max() == cohort.table.lesion == 6
    assert np.array_equal(case.labels == 6, case.mask)
    assert not cohort.simulated


def faulty_mask(values):
    return lambda root: change(derived(root, "desc-lesion_mask"), values)


FAULTS = {
    "no lesion mask": lambda root: derived(root, "desc-lesion_mask").unlink(),
    "no tissue label map": lambda root: derived(root, "dseg").unlink(),
    "holds the label value 9, but the label table ends at 6": lambda root: change(
        derived(root, "dseg"), lambda d, a: (d + 9 * (d == 5) - 5 * (d == 5), a)
    ),
    "whole numbers": lambda root: change(derived(root, "dseg"), lambda d, a: (d * 0.5, a)),
    "lies on another grid": faulty_mask(lambda d, a: (d, a + np.diag([0.5, 0, 0, 0]))),
    "0 and 1 only": faulty_mask(lambda d, a: (d * 0.7, a)),
    "has no split.tsv": lambda root: (root / "split.tsv").unlink(),
    "has no subject in 'val'": lambda root: Split(("sub-01", "sub-02"), (), ("sub-03",)).write(root / "split.tsv"),
    "names sub-09, which has no image": lambda root: Split(("sub-01", "sub-09"), ("sub-02",), ("sub-03",)).write(
        root / "split.tsv"
    ),
    "is in train and in test": lambda root: (root / "split.tsv").write_text(
        "participant_id\tsplit\nsub-01\ttrain\nsub-01\ttest\n"
    ),
    "has no column .participant_id.": lambda root: (root / "split.tsv").write_text("subject\tpart\nsub-01\ttrain\n"),
    "dseg.tsv; add the label table": lambda root: (root / "derivatives/truth/dseg.tsv").unlink(),
    "the last 'lesion'": lambda root: (root / "derivatives/truth/dseg.tsv").write_text(
        "index\tname\n0\tbackground\n1\tlesion\n2\twhite\n"
    ),
    "without gaps": lambda root: (root / "derivatives/truth/dseg.tsv").write_text("index\tname\n0\ta\n2\tb\n"),
    "has no column .index.": lambda root: (root / "derivatives/truth/dseg.tsv").write_text("label\n0\n"),
    "not valid JSON": lambda root: (root / "dataset_description.json").write_text("{"),
    "not a cohort folder": lambda root: (root / "dataset_description.json").unlink(),
    r"holds no sub-\*/dwi": lambda root: [shutil.rmtree(path) for path in root.glob("sub-*")],
    "no such folder": shutil.rmtree,
}


def use(root):
    cohort = open_cohort(root)
    require_trainable(cohort)
    require_label_maps(cohort, "pix2pix")
    read_case(cohort.part("train")[0], table=cohort.table)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_sentence(root, fault):
    FAULTS[fault](root)
    with pytest.raises(InputError, match=fault) as error:
        use(root)
    assert str(root) in str(error.value)
    assert "\n" not in str(error.value)


def test_label_maps_are_not_needed_to_be_trainable(root):
    assert has_label_maps(open_cohort(root))
    derived(root, "dseg", "sub-03").unlink()
    cohort = open_cohort(root)
    require_trainable(cohort)
    assert not has_label_maps(cohort)
    with pytest.raises(InputError, match=r"sub-03 has no tissue label map, needed by spade; make label maps with:"):
        require_label_maps(cohort, "spade")
    (root / "derivatives" / "truth" / "dseg.tsv").unlink()
    assert not has_label_maps(open_cohort(root))


def test_sessions_belong_to_their_subject(root, tmp_path):
    for part in ("", "derivatives/truth/"):
        folder = root / part / "sub-01"
        moved = folder / "ses-1" / "dwi"
        moved.parent.mkdir()
        (folder / "dwi").rename(moved)
        for path in list(moved.iterdir()):
            path.rename(moved / path.name.replace("sub-01_", "sub-01_ses-1_"))
    cohort = open_cohort(root)
    require_trainable(cohort)
    assert [case.name for case in cohort.part("train")] == ["sub-01_ses-1"]


def test_the_public_layout_of_isles22(real_data):
    with pytest.raises(InputError, match=r"not a cohort folder.*strokereg data import"):
        open_cohort(real_data / "isles22")
    cohort = read_folder(real_data / "isles22")
    (case,) = cohort.cases
    assert (case.name, case.subject) == ("sub-strokecase0009_ses-0001", "sub-strokecase0009")
    assert set(case.images) == {"dwi", "adc", "FLAIR"}
    assert case.mask is not None
    assert cohort.split is None
    with pytest.raises(InputError, match=r"has no split\.tsv"):
        require_trainable(cohort)


def test_commands_in_messages_can_be_typed_where_a_path_has_spaces(phantom, tmp_path):
    root = tmp_path / "my scans Köln"
    shutil.copytree(phantom, root)
    with pytest.raises(InputError, match=r"write one with: strokereg data split '.*/my scans Köln'"):
        require_trainable(open_cohort(root))
    (root / "dataset_description.json").unlink()
    with pytest.raises(InputError, match=r"with: strokereg data import '.*/my scans Köln' --out COHORT"):
        open_cohort(root)


def test_simulated_cohorts_say_so(small_cohort):
    assert open_cohort(small_cohort).simulated
    description = json.loads((small_cohort / "dataset_description.json").read_text())
    assert description["GeneratedBy"][0]["Name"] == "strokereg data simulate"
