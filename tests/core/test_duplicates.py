"""One scan under two names is found by its voxels."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.case import CaseFiles
from strokereg.core.cohort import open_cohort
from strokereg.core.duplicates import fingerprint, outline, refuse_leaks
from strokereg.core.errors import InputError
from strokereg.core.nifti import Volume, read_volume, write_volume


def test_a_scan_is_known_by_its_voxels(phantom, tmp_path):
    scan = read_volume(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    other = read_volume(phantom / "sub-02" / "dwi" / "sub-02_dwi.nii.gz")
    known = fingerprint(scan)
    padded = Volume(np.pad(scan.data, 3), scan.affine, scan.path)
    turned = nib.Nifti1Image(scan.data, scan.affine).as_reoriented([[1, -1], [0, 1], [2, -1]])
    stored = Volume(np.asarray(turned.dataobj), turned.affine, scan.path)
    assert fingerprint(padded) == fingerprint(stored) == known
    assert fingerprint(Volume(scan.data * 7.5, scan.affine, scan.path)) == known
    noise = np.random.default_rng(0).normal(0, 8, scan.data.shape)
    scanned_again = Volume(scan.data + noise * (scan.data > 0), scan.affine, scan.path)
    assert known not in (fingerprint(other), fingerprint(scanned_again))
    assert fingerprint(Volume(scan.data * 0, scan.affine, scan.path)) == ""


def test_codes_do_not_matter_to_an_outline(phantom):
    dseg = read_volume(phantom / "derivatives" / "truth" / "sub-01" / "dwi" / "sub-01_dseg.nii.gz")
    assert outline(dseg) == outline(Volume(dseg.data * 41, dseg.affine, dseg.path)) != ""
    assert outline(Volume((dseg.data == 99), dseg.affine, dseg.path)) == ""


def test_a_planted_leak_is_refused(phantom, tmp_path):
    """Another name, another header, another scale, and no lesion mask that would give it away."""
    root = shutil.copytree(phantom, tmp_path / "cohort")
    parts = {
        name: [case] for name, case in zip(("training", "validation", "test"), open_cohort(root).cases, strict=True)
    }
    refuse_leaks(parts, tmp_path / "cache")
    stolen = read_volume(parts["test"][0].images["dwi"])
    moved = stolen.affine.copy()
    moved[:3, 3] += 5.0
    write_volume(parts["training"][0].images["dwi"], np.pad(stolen.data * 2.0, 1), moved)
    with pytest.raises(InputError, match="has the same image as sub-01 of the training cases, but is among the test"):
        refuse_leaks(parts, tmp_path / "cache")


def test_a_lesion_twice_is_a_leak_too(phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "cohort")
    first, second, third = open_cohort(root).cases
    shutil.copy(first.mask, third.mask)
    with pytest.raises(InputError, match="has the same lesion mask as sub-01"):
        refuse_leaks({"training": [first, second], "test": [third]}, tmp_path / "cache")
    refuse_leaks({"training": [first, second, third]}, tmp_path / "cache")  # one part may hold a patient twice


def test_a_study_refuses_it_before_any_work(small_cohort, tmp_path, capsys):
    from strokereg.cli.main import main

    root = shutil.copytree(small_cohort, tmp_path / "cohort")
    cohort = open_cohort(root)
    test, train = cohort.part("test")[0], cohort.part("train")[4]
    stolen = read_volume(test.images["dwi"])
    # Scaled: voxels that are equal are found by the checks before any training.
    write_volume(train.images["dwi"], 2 * stolen.data, read_volume(train.images["dwi"]).affine)
    out = tmp_path / "out"
    words = ["compare", "--preset", "smoke", "--models", "pix2pix", "--data", str(root), "--out", str(out)]
    assert main(words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"has the same image as {train.name} of the training cases, but is among the test cases" in said
    assert not out.exists()


def test_one_volume_of_a_4d_file_is_an_image_like_any(phantom, tmp_path):
    """As readers of other layouts give it: an external cohort may hold all contrasts of a case in one file."""
    first, second, _ = open_cohort(phantom).cases
    volumes = [read_volume(first.images[name]) for name in ("adc", "dwi")]
    path = tmp_path / "all.nii.gz"
    nib.save(nib.Nifti1Image(np.stack([v.data for v in volumes], axis=-1), volumes[0].affine), path)
    case = CaseFiles("sub-9", "sub-9", {"dwi": path}, volumes={"dwi": 1})
    with pytest.raises(InputError, match="has the same image as sub-01 of the training cases"):
        refuse_leaks({"training": [first], "external": [case]}, tmp_path / "cache")
    refuse_leaks({"training": [second], "external": [case]}, tmp_path / "cache")
