"""To the network grid and back."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.open import read_folder
from strokereg.core.scan.grid import Preparation, brain_median, foreground, frame_of
from strokereg.core.scan.nifti import Volume
from strokereg.registry.errors import InputError

TURNS = [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)]


def head(spacing=2.0):
    """A lopsided head with a lesion at its left front, so that no flip or turn goes unseen."""
    shape = (40, 50, 30)
    x, y, z = np.meshgrid(*(np.arange(n) - n / 2 for n in shape), indexing="ij")
    brain = (x / 15) ** 2 + (y / 20) ** 2 + (z / 11) ** 2 < 1
    lesion = (x + 6) ** 2 + (y - 9) ** 2 + (z - 3) ** 2 < 16
    affine = np.diag([spacing, spacing, spacing, 1.0])
    return np.where(brain, 100.0 + 80.0 * lesion, 0).astype(np.float32), lesion & brain, affine


def turned(data, affine, order, flips):
    orientation = np.array([[order.index(a), -1 if a in flips else 1] for a in range(3)], dtype=float)
    inverse = nib.orientations.inv_ornt_aff(orientation, data.shape)
    return nib.orientations.apply_orientation(data, orientation), affine @ inverse


@pytest.mark.parametrize("order", TURNS)
@pytest.mark.parametrize("flips", [(), (0,), (0, 1, 2)])
def test_at_equal_spacing_the_way_back_is_exact_for_any_axes(order, flips):
    data, lesion, affine = head()
    scan, scan_affine = turned(data, affine, order, flips)
    mask, _ = turned(lesion.astype(np.float32), affine, order, flips)
    volume = Volume(scan, scan_affine, Path("scan.nii"))
    frame = frame_of(volume, Preparation(spacing=(2.0, 2.0, 2.0)))
    plain = frame_of(Volume(data, affine, Path("plain.nii")), Preparation(spacing=(2.0, 2.0, 2.0)))
    assert frame.shape == plain.shape
    there = frame.image(scan)
    # The same head looks the same to the network, however it was stored; odd widths may sit one voxel aside.
    assert there[frame.image(mask) > 0.5].mean() == pytest.approx(180.0)
    z, y, x = (np.argwhere(frame.image(mask) > 0.5).mean(axis=0) - np.argwhere(there > 0).mean(axis=0)).round()
    assert (x < 0, y > 0, z > 0) == (True, True, True)
    assert np.array_equal(frame.back(frame.image(mask)) > 0.5, mask > 0)


@pytest.mark.parametrize("spacing", [1.5, 3.0])
def test_at_another_spacing_the_volume_comes_back(spacing):
    data, lesion, affine = head()
    frame = frame_of(Volume(data, affine, Path("scan.nii")), Preparation(spacing=(spacing,) * 3))
    back = frame.back(frame.image(lesion.astype(np.float32))) > 0.5
    assert back.sum() == pytest.approx(lesion.sum(), rel=0.15)
    assert 2 * (back & lesion).sum() / (back.sum() + lesion.sum()) > 0.85


def test_labels_go_by_the_largest_share_and_outside_is_background():
    data, lesion, affine = head()
    labels = np.where(lesion, 2, data > 0).astype(np.uint8)
    frame = frame_of(Volume(data, affine, Path("scan.nii")), Preparation(spacing=(3.0, 3.0, 3.0), size=(64, 64, 48)))
    prepared = frame.labels(labels, 3)
    assert prepared.shape == (48, 64, 64)
    assert set(np.unique(prepared)) == {0, 1, 2}
    assert (prepared[0] == 0).all()
    assert (prepared > 0).sum() * 27 == pytest.approx((data > 0).sum() * 8, rel=0.05)
    assert np.array_equal(prepared == 2, frame.image(lesion) > 0.5)


def test_the_grid_is_as_large_as_asked_in_its_multiples():
    data, _, affine = head()
    small = frame_of(Volume(data, affine, Path("a.nii")), Preparation(spacing=(2.0,) * 3, multiple=(16, 16, 1)))
    assert small.shape[1] % 16 == small.shape[2] % 16 == 0
    assert small.shape[1] >= 40
    large = frame_of(Volume(data, affine, Path("a.nii")), Preparation(spacing=(2.0,) * 3, size=(96, 96, 1)))
    assert large.shape[1:] == (96, 96)


def test_the_median_hangs_on_the_brain_alone():
    data, _, _ = head()
    assert brain_median(data) == 100.0
    assert brain_median(np.pad(data, 30)) == 100.0
    assert not foreground(np.zeros((3, 3, 3))).any()


def test_an_empty_scan_is_one_sentence():
    with pytest.raises(InputError, match="no positive voxels"):
        frame_of(Volume(np.zeros((4, 4, 4), np.float32), np.eye(4), Path("scan.nii")), Preparation())


def test_the_real_case_comes_back_to_the_voxel(real_data):
    case = read_case(read_folder(real_data / "isles22").cases[0], ("dwi", "adc"))
    assert case.mask.sum() * case.reference.voxel_ml == pytest.approx(4.184, abs=1e-3)
    frame = frame_of(case.reference, Preparation(spacing=(2.0, 2.0, 2.0)))
    assert np.array_equal(frame.back(frame.image(case.mask)) > 0.5, case.mask)
