"""One scan under two names is found by its voxels."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from strokereg.core.cohort.fingerprint import case_fingerprints, image_fingerprint, mask_fingerprint
from strokereg.core.scan.nifti import Volume, read_volume


def test_a_scan_is_known_by_its_voxels(phantom, tmp_path):
    scan = read_volume(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    other = read_volume(phantom / "sub-02" / "dwi" / "sub-02_dwi.nii.gz")
    known = image_fingerprint(scan)
    padded = Volume(np.pad(scan.data, 3), scan.affine, scan.path)
    turned = nib.Nifti1Image(scan.data, scan.affine).as_reoriented([[1, -1], [0, 1], [2, -1]])
    stored = Volume(np.asarray(turned.dataobj), turned.affine, scan.path)
    assert image_fingerprint(padded) == image_fingerprint(stored) == known
    assert image_fingerprint(Volume(scan.data * 7.5, scan.affine, scan.path)) == known
    noise = np.random.default_rng(0).normal(0, 8, scan.data.shape)
    scanned_again = Volume(scan.data + noise * (scan.data > 0), scan.affine, scan.path)
    assert known not in (image_fingerprint(other), image_fingerprint(scanned_again))
    assert image_fingerprint(Volume(scan.data * 0, scan.affine, scan.path)) == ""


def test_codes_do_not_matter_to_an_outline(phantom):
    dseg = read_volume(phantom / "derivatives" / "truth" / "sub-01" / "dwi" / "sub-01_dseg.nii.gz")
    assert mask_fingerprint(dseg) == mask_fingerprint(Volume(dseg.data * 41, dseg.affine, dseg.path)) != ""
    assert mask_fingerprint(Volume((dseg.data == 99), dseg.affine, dseg.path)) == ""


def test_a_case_is_known_by_what_it_has(phantom):
    dwi = read_volume(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    mask = read_volume(phantom / "derivatives" / "truth" / "sub-01" / "dwi" / "sub-01_desc-lesion_mask.nii.gz")
    assert case_fingerprints({"dwi": dwi, "mask": mask}) == {
        "image": image_fingerprint(dwi),
        "lesion mask": mask_fingerprint(mask),
    }
    assert case_fingerprints({"mask": Volume(mask.data * 0, mask.affine, mask.path)}) == {}
