from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.scan.nifti import Volume
from strokereg.export.runtime.brain import brain_only
from strokereg.registry.errors import InputError

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


@pytest.fixture(scope="module")
def brain():
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (48, 52, 44)), indexing="ij")
    return x**2 + y**2 + z**2 < 0.5


@pytest.fixture(scope="module")
def scans(brain):
    """DWI and ADC with a scalp around the brain."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in brain.shape), indexing="ij")
    radius = x**2 + y**2 + z**2
    scalp = (radius > 0.7) & (radius < 0.9)
    dwi = np.where(brain, 100.0, np.where(scalp, 25.0, 0.0)).astype(np.float32)
    adc = np.where(brain | scalp, 0.8, 0.0).astype(np.float32)
    return [Volume(dwi, AFFINE, Path("x_dwi.nii.gz")), Volume(adc, AFFINE, Path("x_adc.nii.gz"))]


def test_a_skull_is_taken_away_from_every_image_and_said(scans, brain):
    found, notes = brain_only(scans, ("dwi", "adc"))
    for scan in found:
        assert not scan.data[~brain].any()
        assert (scan.data[brain] > 0).mean() > 0.99
    assert len(notes) == 1
    assert "x_dwi.nii.gz: shows a skull" in notes[0]
    assert "--mask" in notes[0]


def test_an_extracted_scan_stays_as_it_is(scans, brain):
    stripped = [Volume(np.where(brain, scan.data, 0.0), AFFINE, scan.path) for scan in scans]
    found, notes = brain_only(stripped, ("dwi", "adc"))
    assert [a is b for a, b in zip(found, stripped, strict=True)] == [True, True]
    assert notes == ()


@pytest.mark.parametrize(("channels", "extract"), [(("dwi", "adc"), False), (("FLAIR", "T1w"), True)])
def test_no_extraction_where_it_is_switched_off_or_there_is_no_dwi(scans, channels, extract):
    found, notes = brain_only(scans, channels, extract=extract)
    assert [a is b for a, b in zip(found, scans, strict=True)] == [True, True]
    assert notes == ()


def test_what_shows_no_brain_is_used_as_it_is_and_said(scans):
    odd = [Volume(np.eye(48, dtype=np.float32)[:, :, None], AFFINE, Path("odd_dwi.nii.gz"))]
    found, notes = brain_only(odd, ("dwi",))
    assert found[0] is odd[0]
    assert "odd_dwi.nii.gz" in notes[0]
    assert "as it is" in notes[0]


def test_a_mask_takes_the_place_of_the_extraction(scans, brain, tmp_path):
    half = brain.copy()
    half[:24] = False
    nib.save(nib.Nifti1Image(half.astype(np.uint8), AFFINE), tmp_path / "mask.nii.gz")
    found, notes = brain_only(scans, ("dwi", "adc"), tmp_path / "mask.nii.gz")
    assert np.array_equal(found[0].data > 0, half)
    assert np.array_equal(found[1].data > 0, half)
    assert notes == ()


@pytest.mark.parametrize(
    ("data", "said"), [(np.zeros((48, 52, 44)), "mask is empty"), (np.ones((48, 52, 43)), "mask.nii.gz")]
)
def test_a_wrong_mask_is_refused(scans, tmp_path, data, said):
    nib.save(nib.Nifti1Image(data.astype(np.uint8), AFFINE), tmp_path / "mask.nii.gz")
    with pytest.raises(InputError, match=said):
        brain_only(scans, ("dwi", "adc"), tmp_path / "mask.nii.gz")
