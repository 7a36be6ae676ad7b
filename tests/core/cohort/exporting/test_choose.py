"""Which cases an export takes, and which it refuses."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.exporting import ExportFormat
from strokereg.core.cohort.exporting.choose import ExportSettings, choose
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.registry.errors import InputError


def settings(**changes) -> ExportSettings:
    return ExportSettings(ExportFormat.MONAI, **changes)


def names(choice, part):
    return [case.name for case in choice.parts[part]]


def test_training_cases_are_the_first_of_the_split_and_others_join_them(small_cohort, phantom, added):
    cohort = open_cohort(small_cohort)
    few, more = (choose(cohort, [open_cohort(phantom)], settings(cases=count)) for count in (2, 4))
    train = [case.name for case in cohort.part("train")]
    assert names(few, "train") == [*train[:2], *added]
    assert names(more, "train") == [*train[:4], *added]
    for part in ("val", "test"):
        assert names(few, part) == names(more, part) == [case.name for case in cohort.part(part)]
    assert few.channels == ("dwi", "adc")
    assert few.table == cohort.table


def test_of_an_added_cohort_with_a_split_only_training_cases_join_unless_it_is_synthetic(
    small_cohort, phantom, tmp_path
):
    choice = choose(open_cohort(phantom), [open_cohort(small_cohort)], settings())
    prefix = f"sub-{small_cohort.name}"
    taken = [case.files.name for case in choice.cases if case.name.startswith(prefix)]
    assert taken == [case.name for case in open_cohort(small_cohort).part("train")]
    assert not choice.has_split
    assert {case.part for case in choice.cases} == {"train"}
    root = shutil.copytree(small_cohort, tmp_path / "synthetic")
    (root / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "strokereg synthesize"}]}')
    assert len(choose(open_cohort(phantom), [open_cohort(root)], settings()).cases) == 3 + 10


def test_contrasts_are_those_that_all_cases_have(small_cohort, phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "other")
    (root / "sub-02/dwi/sub-02_adc.nii.gz").unlink()
    cohort, other = open_cohort(small_cohort), open_cohort(root)
    assert choose(cohort, [other], settings()).channels == ("dwi",)
    with pytest.raises(InputError, match=r"sub-02 has no adc image, but dwi; add it or leave adc out of --channels"):
        choose(cohort, [other], settings(channels=("dwi", "adc")))
    for path in root.glob("sub-*/dwi/*"):
        path.rename(path.parents[1] / path.name.replace("dwi", "FLAIR"))
    for folder in root.glob("**/dwi"):
        folder.rename(folder.with_name("anat"))
    for path in root.glob("sub-*/*.nii.gz"):
        path.rename(path.parent / "anat" / path.name)
    with pytest.raises(InputError, match=r"no contrast is common to all cases: .* export them separately"):
        choose(cohort, [open_cohort(root)], settings())


def test_label_maps_of_two_tables_are_left_out(small_cohort, phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "other")
    LabelTable(("background", "a", "b", "c", "d", "e", "lesion")).write(root / "derivatives/truth/dseg.tsv")
    choice = choose(open_cohort(small_cohort), [open_cohort(root)], settings())
    assert choice.table is None
    assert {case.files.dseg for case in choice.cases} == {None}


def test_a_patient_of_the_test_cases_cannot_join_the_training_cases(small_cohort, tmp_path):
    cohort = open_cohort(small_cohort)
    tested = cohort.part("test")[0]
    root = shutil.copytree(small_cohort, tmp_path / "leak")
    (root / "split.tsv").write_text(f"participant_id\tsplit\n{tested.subject}\ttrain\n")
    with pytest.raises(InputError, match=r"has the same image as sub-leak.* training cases, but is among the test"):
        choose(cohort, [open_cohort(root)], settings())


def test_faults_are_refused(small_cohort, phantom, tmp_path):
    cohort = open_cohort(small_cohort)
    with pytest.raises(InputError, match=r"--cases 60: .* has 6 training cases; ask for fewer"):
        choose(cohort, [], settings(cases=60))
    with pytest.raises(InputError, match=r"would be the name of a case in .* and in .*; rename one of the two"):
        choose(cohort, [open_cohort(phantom)] * 2, settings())
    root = shutil.copytree(phantom, tmp_path / "faulty")
    mask = root / "derivatives/truth/sub-02/dwi/sub-02_desc-lesion_mask.nii.gz"
    volume = read_volume(mask)
    write_volume(mask, (volume.data * 2).astype(np.uint8), volume.affine)
    with pytest.raises(InputError, match=r"sub-02_desc-lesion_mask.nii.gz: a lesion mask holds 0 and 1 only"):
        choose(cohort, [open_cohort(root)], settings())
    mask.unlink()
    with pytest.raises(InputError, match="sub-02 has no lesion mask; add it"):
        choose(cohort, [open_cohort(root)], settings())
