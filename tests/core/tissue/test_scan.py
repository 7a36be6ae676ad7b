"""Brain, units and axes of a scan."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from strokereg.core.cohort.case import Case, read_case
from strokereg.core.cohort.open import read_folder
from strokereg.core.scan.nifti import Volume
from strokereg.core.simulate.anatomy import CORTEX, CSF, VENTRICLE, WHITE
from strokereg.core.tissue.classes import classify_hmrf
from strokereg.core.tissue.scan import find_brain, take_scan
from strokereg.registry.errors import InputError


def case_of(dwi, adc, affine):
    images = {"dwi": Volume(dwi, affine, Path("dwi.nii"))}
    if adc is not None:
        images["adc"] = Volume(adc, affine, Path("adc.nii"))
    return Case("sub-1", images, dwi > 150, None)


def head(shape=(40, 48, 36)):
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    brain = (x / 0.8) ** 2 + (y / 0.85) ** 2 + (z / 0.85) ** 2 < 1
    return brain, np.where(brain, 100.0 + 80.0 * (x > 0.5), 0).astype(np.float32)


@pytest.mark.parametrize("factor", [1.0, 1e3, 1e-3])
def test_an_adc_is_taken_in_any_of_its_units(factor):
    brain, dwi = head()
    adc = np.where(brain, 0.9 * factor, 0).astype(np.float32)
    scan = take_scan(case_of(dwi, adc, np.diag([4, 4, 4, 1.0])))
    np.testing.assert_allclose(scan.channels[1][scan.brain], 0.9, rtol=1e-5)
    # The scan without diffusion weighting: S0 = S · exp(b · ADC).
    np.testing.assert_allclose(np.exp(scan.channels[0][scan.fitted]), np.exp(0.9), rtol=1e-4)


def test_what_is_no_adc_and_what_is_no_brain():
    brain, dwi = head()
    with pytest.raises(InputError, match="fits no unit of ADC"):
        take_scan(case_of(dwi, np.where(brain, 30.0, 0).astype(np.float32), np.diag([4, 4, 4, 1.0])))
    with pytest.raises(InputError, match="whole head"):
        take_scan(case_of(dwi, None, np.diag([1, 1, 1, 1.0])))


@pytest.mark.parametrize("codes", ["RAS", "LAS", "SAL", "PIR"])
def test_labels_come_back_onto_the_scans_own_axes(codes):
    _, dwi = head()
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(codes))
    )
    turned = nib.orientations.apply_orientation(dwi, turn)
    affine = np.diag([4, 4, 4, 1.0]) @ nib.orientations.inv_ornt_aff(turn, dwi.shape)
    scan = take_scan(case_of(turned, None, affine))
    x = np.indices(scan.brain.shape)[0]
    assert x[scan.lesion].mean() > x[scan.brain].mean() + 5  # the lesion lies on the right
    back = scan.restore(np.where(scan.lesion, 2, scan.brain).astype(np.uint8))
    assert np.array_equal(back, np.where(turned > 150, 2, turned > 0))


def test_a_brain_is_found_among_noise_and_scalp():
    brain, dwi = head((64, 64, 40))
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (64, 64, 40)), indexing="ij")
    shell = abs((x / 0.95) ** 2 + (y / 0.97) ** 2 + (z / 0.97) ** 2 - 1) < 0.03
    rng = np.random.default_rng(0)
    noise = np.hypot(rng.normal(0, 4, dwi.shape), rng.normal(0, 4, dwi.shape))
    found = find_brain((dwi + 30 * shell + noise).astype(np.float32))
    assert 2 * (found & brain).sum() / (found.sum() + brain.sum()) > 0.95


def test_no_white_matter_lies_at_a_sulcus_of_the_real_case(real_data):
    """Cortex lines the brain, and what holds more tissue than fluid is no fluid."""
    scan = take_scan(read_case(read_folder(real_data / "isles22").cases[0], ("dwi", "adc")))
    labels = classify_hmrf(scan)
    fluid = (labels == CSF) | (labels == VENTRICLE)
    assert scan.channels[1][fluid].min() > 1.4
    touches = ndimage.binary_dilation(labels == CSF) & scan.brain
    shares = {tissue: np.mean(labels[touches & ~fluid] == tissue) for tissue in (CORTEX, WHITE)}
    assert shares[CORTEX] > 0.8  # the rest is brain stem, callosum and other places that cisterns do touch
    assert shares[WHITE] < 0.15
    volumes = {tissue: float((labels == tissue).sum()) * 0.008 for tissue in (CSF, CORTEX, WHITE)}
    assert 150 < volumes[CSF] < 300
    assert volumes[CORTEX] > volumes[WHITE] > 400


def test_the_real_brain_is_its_own_mask(real_data):
    case = read_case(read_folder(real_data / "isles22").cases[0], ("dwi", "adc"))
    scan = take_scan(case)
    assert scan.brain.sum() == pytest.approx((case.reference.data != 0).sum(), rel=0.005)
    assert scan.lesion.sum() == case.mask.sum()


def test_a_single_slice_of_another_contrast_is_enough():
    brain, image = head((60, 72, 36))
    brain, image = brain[:, :, 18:19].copy(), image[:, :, 18:19].copy()
    image[30:33, 30:33] = 0  # dark, but inside the brain
    volume = Volume(image, np.diag([2.5, 2.5, 1, 1.0]), Path("sub-1_T1w.nii"))
    scan = take_scan(Case("sub-1", {"T1w": volume}, np.zeros(image.shape, bool), None))
    assert scan.brain.all(axis=2).sum() == brain.sum()
    assert np.median(scan.channels[0][scan.brain]) == 1.0
    tiny = Volume(image[:12], volume.affine, Path("sub-1_T1w.nii"))
    with pytest.raises(InputError, match="whole axial slices"):
        take_scan(Case("sub-1", {"T1w": tiny}, None, None))
