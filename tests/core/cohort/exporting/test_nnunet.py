"""A data set of nnU-Net, read back by our own reader, and by nnU-Net where it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.exporting import ExportFormat, nnunet
from strokereg.core.cohort.open import read_source
from strokereg.registry.errors import InputError


@pytest.fixture
def root(mixed) -> Path:
    return mixed[ExportFormat.NNUNET].folder


def test_our_reader_finds_every_voxel_and_affine_again(root, small_cohort, added):
    reader, source = read_source(root)
    assert reader == "nnunet"
    cohort = open_cohort(small_cohort)
    ours = {case.name: case for case in (*cohort.part("train")[:2], *cohort.part("val"))}
    assert {case.name for case in source.cases} == {*ours, *added}
    for files in source.cases:
        if files.name in ours:
            read, true = (read_case(case, ("dwi", "adc")) for case in (files, ours[files.name]))
            for channel, image in true.images.items():
                np.testing.assert_array_equal(read.images[channel].data, image.data)
                np.testing.assert_array_equal(read.images[channel].affine, image.affine)
            np.testing.assert_array_equal(read.mask, true.mask)


def test_the_split_is_ours_and_test_cases_stand_apart(root, small_cohort, added):
    cohort = open_cohort(small_cohort)
    split = json.loads((root / nnunet.SPLITS).read_text())
    train, val, test = ([case.name for case in cohort.part(part)] for part in ("train", "val", "test"))
    assert split == [{"train": [*train[:2], *added], "val": val}]
    assert sorted(path.name for path in (root / "imagesTs").iterdir()) == [
        f"{name}_{channel:04d}.nii.gz" for name in sorted(test) for channel in (0, 1)
    ]
    assert {path.name for path in (root / "labelsTs").iterdir()} == {f"{name}.nii.gz" for name in test}
    content = json.loads((root / "dataset.json").read_text())
    assert content["channel_names"] == {"0": "dwi", "1": "adc"}
    assert content["numTraining"] == len(list((root / "labelsTr").iterdir())) == 2 + len(val) + len(added)
    origin = (root / "cases.tsv").read_text().splitlines()
    assert origin[:2] == ["case\tsplit\tcohort\tname", f"{train[0]}\ttrain\t{small_cohort.name}\t{train[0]}"]
    assert len(origin) == 1 + content["numTraining"] + len(test)


def test_nnunet_itself_accepts_it(root):
    checks = pytest.importorskip("nnunetv2.experiment_planning.verify_dataset_integrity")
    checks.verify_dataset_integrity(str(root), num_processes=1)


@pytest.mark.parametrize("name", ["stroke", "Dataset1_stroke", "Dataset101"])
def test_a_name_that_nnunet_would_not_find_is_refused(name, tmp_path):
    with pytest.raises(InputError, match="nnU-Net needs a folder named DatasetNNN_NAME; give for example"):
        nnunet.check_name(tmp_path / name)
