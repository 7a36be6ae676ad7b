"""One patient under two names is found: within a cohort, before a study, and in a cohort of another origin."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.duplicates import refuse_leaks
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.registry.errors import InputError


def refuse(cache, **parts):
    refuse_leaks(parts, {}, cache)


def test_a_planted_leak_is_refused(phantom, tmp_path):
    """Another name, another header, another scale, and no lesion mask that would give it away."""
    root = shutil.copytree(phantom, tmp_path / "cohort")
    first, second, third = open_cohort(root).cases
    refuse(tmp_path / "cache", training=[first], validation=[second], external=[third])
    stolen = read_volume(third.images["dwi"])
    moved = stolen.affine.copy()
    moved[:3, 3] += 5.0
    write_volume(first.images["dwi"], np.pad(stolen.data * 2.0, 1), moved)
    with pytest.raises(InputError, match="same image as sub-01 of the training cases, but is among the external"):
        refuse(tmp_path / "cache", training=[first], validation=[second], external=[third])


def test_a_lesion_twice_is_a_leak_too(phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "cohort")
    first, second, third = open_cohort(root).cases
    shutil.copy(first.mask, third.mask)
    with pytest.raises(InputError, match="has the same lesion mask as sub-01"):
        refuse(tmp_path / "cache", training=[first, second], external=[third])
    refuse(tmp_path / "cache", training=[first, second, third])  # one part may hold a patient twice


def test_a_study_refuses_it_before_any_work(small_cohort, tmp_path, capsys):
    from strokereg.cli.main import main

    root = shutil.copytree(small_cohort, tmp_path / "cohort")
    cohort = open_cohort(root)
    test, train = cohort.part("test")[0], cohort.part("train")[4]
    write_volume(train.images["dwi"], 2 * read_volume(test.images["dwi"]).data, read_volume(train.images["dwi"]).affine)
    out = tmp_path / "out"
    words = ["compare", "--preset", "smoke", "--models", "pix2pix", "--data", str(root), "--out", str(out)]
    assert main(words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"has the same image as {train.name}, in train and in test; remove one of the two" in said
    assert not out.exists()


def test_one_volume_of_a_4d_file_is_an_image_like_any(phantom, tmp_path):
    """As readers of other layouts give it: an external cohort may hold all contrasts of a case in one file."""
    first, second, _ = open_cohort(phantom).cases
    volumes = [read_volume(first.images[name]) for name in ("adc", "dwi")]
    path = tmp_path / "all.nii.gz"
    nib.save(nib.Nifti1Image(np.stack([v.data for v in volumes], axis=-1), volumes[0].affine), path)
    case = CaseFiles("sub-9", "sub-9", {"dwi": path}, volumes={"dwi": 1})
    with pytest.raises(InputError, match="has the same image as sub-01 of the training cases"):
        refuse(tmp_path / "cache", training=[first], external=[case])
    refuse(tmp_path / "cache", training=[second], external=[case])
