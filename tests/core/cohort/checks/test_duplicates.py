"""One patient under two names is found: within a cohort, before a study, and in a cohort of another origin."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.check import check_data
from strokereg.core.cohort.checks.duplicates import refuse_leaks
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.split import Split
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.registry.errors import InputError


def about_case(checked):
    return [finding for finding in checked.findings if finding.case]


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


def test_duplicates_are_reported_and_between_parts_they_are_errors(real):
    real.save_case("sub-02")
    real.save_case("sub-03", shade=1.01)  # another scale does not hide it
    duplicates = about_case(check_data(real.root))
    assert [(duplicate.rule, duplicate.severe) for duplicate in duplicates] == [("duplicates", False)] * 2
    out = "take one out: import again with --exclude sub-02"
    assert f"sub-02_dwi.nii.gz: has the same image as sub-01; {out}" in str(duplicates[0])
    shutil.rmtree(real.root / "sub-03")
    shutil.rmtree(real.root / "derivatives" / "truth" / "sub-03")
    noise = np.random.default_rng(0).normal(0, 9, real.volumes["dwi"].shape) * (real.volumes["dwi"] > 0)
    real.save("dwi", (real.volumes["dwi"] + noise).astype(np.float32), subject="sub-02")
    [duplicate] = about_case(check_data(real.root))
    assert f"sub-02_desc-lesion_mask.nii.gz: has the same lesion mask as sub-01; {out}" in str(duplicate)
    real.save("mask", np.roll(real.volumes["mask"], 1, axis=0) | real.volumes["mask"], subject="sub-02")
    assert about_case(check_data(real.root)) == []


def test_a_patient_in_two_parts_is_an_error(real):
    real.save_case("sub-02")
    real.save_case("sub-03", shade=1.01)
    real.save("dwi", np.flip(real.volumes["dwi"], 0), subject="sub-03")
    real.save("mask", np.flip(real.volumes["mask"], 1), subject="sub-03")
    Split(("sub-01",), ("sub-03",), ("sub-02",)).write(real.root / "split.tsv")
    [duplicate] = about_case(check_data(real.root))
    assert duplicate.severe
    assert "in train and in test" in duplicate.fault
