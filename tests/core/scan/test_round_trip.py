"""The real case on its way in and back: imported, prepared, predicted as it is, written on its own grid."""

from __future__ import annotations

import pickle
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.train.prepared import prepare_cases

CASE = "sub-strokecase0009/ses-0001/sub-strokecase0009_ses-0001"
FILES = (f"rawdata/{CASE}_dwi", f"rawdata/{CASE}_adc", f"derivatives/{CASE}_msk")
LESION_ML = 4.184


def same(image):
    return image


def flipped(image):
    """Stored from right to left and upside down: the same place, other axes."""
    return image.slicer[::-1, :, ::-1]


def turned(image):
    """Axes in another order, and the whole 25° about the left-right axis."""
    angle = np.deg2rad(25)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    data = np.asarray(image.dataobj).transpose(2, 0, 1)
    return nib.Nifti1Image(data, turn @ image.affine @ np.eye(4)[:, [2, 0, 1, 3]])


def anisotropic(image):
    """Voxels of 1 × 2 × 4 mm, as large as before."""
    return nib.Nifti1Image(np.asarray(image.dataobj), image.affine @ np.diag([0.5, 1, 2, 1]))


def one_of_4d(image):
    return nib.Nifti1Image(np.asarray(image.dataobj)[..., None], image.affine)


def scaled(image):
    """Images as int16 with slope and intercept; a mask's are 1 and 0."""
    data = np.asarray(image.dataobj, dtype=np.float64)
    if set(np.unique(data)) <= {0, 1}:
        return nib.Nifti1Image(data.astype(np.int16), image.affine)
    slope = (data.max() - data.min()) / 60000
    made = nib.Nifti1Image(data, image.affine)
    made.header.set_data_dtype(np.int16)
    made.header.set_slope_inter(slope, data.min() + 30000 * slope)
    return made


@pytest.mark.parametrize("change", [same, flipped, turned, anisotropic, one_of_4d, scaled])
def test_there_and_back_is_exact(real_data, tmp_path, change):
    source = tmp_path / "source"
    for name in FILES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        nib.save(change(nib.load(real_data / "isles22" / f"{name}.nii.gz")), source / f"{name}.nii")
    imported = import_data(source, tmp_path / "cohort")
    assert (imported.reader, imported.left_out, imported.warnings) == ("isles22", {}, ())

    files = open_cohort(tmp_path / "cohort").cases[0]
    case = read_case(files, ("dwi", "adc"))
    scan = case.reference
    stored = nib.load(source / f"{FILES[2]}.nii")
    dseg = write_volume(
        tmp_path / "dseg.nii.gz",
        np.where(case.mask, 2, scan.data > 0).astype(np.uint8),
        scan.affine,
    )
    spacing = nib.affines.voxel_sizes(nib.as_closest_canonical(nib.Nifti1Image(scan.data, scan.affine)).affine)
    how = Preparation(channels=("dwi", "adc"), spacing=tuple(map(float, spacing)))
    table = LabelTable(("background", "brain", "lesion"))
    [prepared] = prepare_cases([replace(files, dseg=dseg)], how, table, tmp_path / "cache")
    assert prepared.image.shape == (2, *prepared.mask.shape)

    # The prediction is the truth; the way back is in the entry itself, whoever opens it.
    data, affine = pickle.loads(pickle.dumps(prepared)).give_back(prepared.mask)
    back = read_volume(write_volume(tmp_path / "lesion.nii.gz", (data > 0.5).astype(np.uint8), affine))
    np.testing.assert_array_equal(back.data, np.asarray(stored.dataobj).reshape(back.data.shape))
    np.testing.assert_array_equal(back.affine, scan.affine)
    np.testing.assert_allclose(back.affine, stored.affine, atol=1e-6)  # the case's own files differ by that much
    assert back.data.sum() * back.voxel_ml == pytest.approx(LESION_ML, abs=5e-4)
