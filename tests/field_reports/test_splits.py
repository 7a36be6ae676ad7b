"""Reported faults of splits, made anew; reports.toml says of whom."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from strokereg.core.cohort.checks.check import check_data
from strokereg.core.cohort.cohort import open_cohort, require_trainable
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.importing.transfer import ImportSettings
from strokereg.core.cohort.split import PARTS, make_folds, make_split
from strokereg.core.cohort.split_cohort import split_cohort
from strokereg.core.scan.nifti import write_volume
from strokereg.registry.errors import InputError

HEADER = "participant_id\tsplit\n"


@pytest.fixture
def cohort(phantom, tmp_path):
    return shutil.copytree(phantom, tmp_path / "cohort")


def texts() -> dict[str, tuple[bytes, str]]:
    """Content of a split → what the check says, or "" where it is right."""
    right = HEADER + "sub-01\ttrain\nsub-02\tval\nsub-03\ttest\n"
    return {
        "bom": (right.encode("utf-8-sig"), ""),
        "carriage-returns": (right.replace("\n", "\r").encode(), ""),
        "a-row-a-session": (f"{right}sub-03\ttest\n".encode(), ""),
        "utf-16": (right.encode("utf-16"), "is not UTF-8 text; save it again as tab-separated text in UTF-8"),
        "latin-1": (f"{right}sub-04\tträin\n".encode("latin-1"), "is not UTF-8 text"),
        "lost-zeros": (right.replace("sub-0", "").encode(), "names 1, which has no image in .*; write sub-01"),
        "absent-case": (right.replace("sub-03", "sub-33").encode(), "names sub-33, which has no image in"),
        "semicolons": (right.replace("\t", ";").encode(), "its columns are separated by ';'; give tab-separated"),
    }


@pytest.mark.parametrize("name", texts())
def test_a_reported_table(cohort, name):
    content, fault = texts()[name]
    (cohort / "split.tsv").write_bytes(content)
    if fault:
        with pytest.raises(InputError, match=fault) as error:
            open_cohort(cohort)
        assert "\n" not in str(error.value)
        assert [finding.rule for finding in check_data(cohort).errors] == ["split"]
    else:
        assert [open_cohort(cohort).split.part(part) for part in PARTS] == [("sub-01",), ("sub-02",), ("sub-03",)]
        assert check_data(cohort).errors == []


@pytest.mark.parametrize(
    ("names", "subject"),
    [
        ([f"genius_{patient:02}{visit:02}" for patient in range(5) for visit in range(3)], r"genius_(\d\d)\d\d"),
        ([f"p{patient}_slice{number}" for patient in range(5) for number in range(3)], r"(p\d)_"),
    ],
    ids=["time-points", "slices"],
)
def test_images_of_one_patient_stay_together(tmp_path, names, subject):
    source, rng = tmp_path / "source", np.random.default_rng(0)
    source.mkdir()
    for name in names:
        image = rng.uniform(80, 120, (8, 9, 2)).astype(np.float32)
        write_volume(source / f"{name}_dwi.nii.gz", image, np.eye(4))
        write_volume(source / f"{name}_lesion.nii.gz", (image > 118).astype(np.uint8), np.eye(4))
    patterns = {"images": "*_dwi.nii.gz", "masks": "*_lesion.nii.gz", "subject": subject}
    done = import_data(source, tmp_path / "cohort", ImportSettings("folder", patterns))
    assert len(done.imported) == 15
    split_cohort(tmp_path / "cohort")
    cohort = open_cohort(tmp_path / "cohort")
    parts = {case.name: {part for part in PARTS if case in cohort.part(part)} for case in cohort.cases}
    by_patient = {case.subject: parts[case.name] for case in cohort.cases}
    assert len(by_patient) == 5
    assert all(parts[case.name] == by_patient[case.subject] and len(parts[case.name]) == 1 for case in cohort.cases)


def test_the_order_of_files_on_the_disk_changes_no_split(phantom, tmp_path):
    made = []
    for name, order in (("first", 1), ("second", -1)):
        root = tmp_path / name
        for path in sorted(phantom.rglob("*"))[::order]:
            if path.is_file():
                (root / path.relative_to(phantom)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, root / path.relative_to(phantom))
        made.append(split_cohort(root)[0].read_text())
    assert made[0] == made[1]


def test_an_empty_part_is_refused_before_a_training(cohort):
    (cohort / "split.tsv").write_text(HEADER + "sub-01\ttrain\nsub-02\ttrain\nsub-03\ttest\n")
    with pytest.raises(InputError, match=r"split\.tsv: has no subject in 'val'; give it at least one"):
        require_trainable(open_cohort(cohort))


def test_a_fold_that_was_not_made_is_refused(cohort):
    split_cohort(cohort, folds=3)
    with pytest.raises(InputError, match=r"--fold 7: .* has no split_fold-7\.tsv; write the folds"):
        open_cohort(cohort, fold=7)
    assert open_cohort(cohort, fold=3).split is not None


def test_one_patient_of_a_kind_is_no_obstacle():
    """A single lesion among patients without any, and two patients of one size."""
    names, volumes = [f"sub-{i:02}" for i in range(12)], [0.0] * 11 + [40.0]
    split = make_split(names, volumes)
    assert all(split.part(part) for part in PARTS)
    tested = [subject for fold in make_folds(names, volumes, 4) for subject in fold.test]
    assert sorted(tested) == names
