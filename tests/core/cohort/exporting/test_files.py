"""Images keep their bytes where a file can stay, and their voxels where it cannot."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.exporting.files import place_image
from strokereg.core.scan.nifti import read_volume, write_volume


@pytest.fixture
def scan():
    return np.random.default_rng(0).normal(100, 9, (5, 6, 4)).astype(np.float32), np.diag([2.0, 3.0, 4.0, 1.0])


def test_bytes_are_kept_and_what_is_not_compressed_is(tmp_path, scan):
    packed, plain = (write_volume(tmp_path / name, *scan) for name in ("a.nii.gz", "b.nii"))
    files = CaseFiles("sub-1", "sub-1", {"dwi": packed, "adc": plain})
    for link in (False, True):
        targets = {part: tmp_path / f"{part}{link}.nii.gz" for part in files.images}
        for part, target in targets.items():
            place_image(files, part, target, link)
        assert targets["dwi"].read_bytes() == packed.read_bytes()
        assert (targets["dwi"].stat().st_ino == packed.stat().st_ino) is link
        assert gzip.decompress(targets["adc"].read_bytes()) == plain.read_bytes()
    assert (tmp_path / "adcTrue.nii.gz").read_bytes() == (tmp_path / "adcFalse.nii.gz").read_bytes()


def test_other_formats_and_volumes_of_a_series_are_written_anew(tmp_path, scan):
    image, affine = scan
    nib.save(nib.MGHImage(image, affine), tmp_path / "sub-1_dwi.mgz")
    nib.save(nib.MGHImage((image > 100).astype(np.uint8), affine), tmp_path / "mask.mgz")
    nib.save(nib.Nifti1Image(np.stack([image, 2 * image], axis=3), affine), tmp_path / "series.nii.gz")
    images = {"dwi": tmp_path / "sub-1_dwi.mgz", "trace": tmp_path / "series.nii.gz"}
    files = CaseFiles("sub-1", "sub-1", images, tmp_path / "mask.mgz", volumes={"trace": 1})
    for part, wanted in {"dwi": image, "trace": 2 * image, "mask": image > 100}.items():
        place_image(files, part, tmp_path / f"out_{part}.nii.gz", link=True)
        found = read_volume(tmp_path / f"out_{part}.nii.gz")
        np.testing.assert_array_equal(found.data, wanted)
        np.testing.assert_array_equal(found.affine, affine)
    assert nib.load(tmp_path / "out_mask.nii.gz").get_data_dtype() == np.uint8
