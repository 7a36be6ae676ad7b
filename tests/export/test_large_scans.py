"""Scans larger than the network, and mirror images: the runtime does as evaluation does."""

from __future__ import annotations

import shutil
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.train.record import Record
from strokereg.core.train.runs import load_model
from strokereg.core.train.validation import predict_case
from strokereg.export.run import export
from strokereg.export.runtime.segmenter import load


@pytest.fixture(scope="module")
def mirrored_run(unet_run, tmp_path_factory):
    """The U-Net that has learnt 32 x 32 slices of the phantom, with the mirror image in its rule."""
    folder = tmp_path_factory.mktemp("mirrored") / "run"
    shutil.copytree(unet_run, folder)
    record = Record.read(folder)
    record.model_copy(update={"postprocessing": record.postprocessing.model_copy(update={"flips": True})}).write(folder)
    return folder


@pytest.fixture(scope="module")
def segmenter(mirrored_run, tmp_path_factory):
    return load(export(mirrored_run, out=tmp_path_factory.mktemp("exported"))[0])


@pytest.fixture
def large(phantom, tmp_path):
    """A brain twice as wide and long as any in training, with a lesion at its very rim, and the mask of that lesion."""
    scan = read_volume(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    data = np.kron(np.where(scan.data > 150, 100, scan.data), np.ones((2, 2, 1), np.float32))
    x = int(np.flatnonzero((data > 50).any(axis=(1, 2)))[-1])
    lesion = np.zeros(data.shape, np.uint8)
    lesion[x - 7 : x - 1, 30:38, 8:14] = 1
    dwi = write_volume(tmp_path / "dwi.nii.gz", np.where(lesion, 180, data).astype(np.float32), scan.affine)
    mask = write_volume(tmp_path / "mask.nii.gz", lesion, scan.affine)
    return CaseFiles(name="large", subject="large", images={"dwi": dwi}, mask=mask)


def test_size_and_mirror_travel_with_the_file(segmenter):
    assert segmenter.bundle.size == (32, 32)
    assert segmenter.bundle.postprocessing.flips


def test_a_lesion_at_the_rim_of_a_large_brain_is_found(segmenter, mirrored_run, large):
    found = segmenter.segment(large.images["dwi"])
    lesion = read_volume(large.mask).data > 0
    assert found.probability.shape == lesion.shape == (60, 68, 22)
    assert np.flatnonzero(lesion.any(axis=(1, 2)))[0] >= 30 + 16  # beyond the middle 32 x 32: a crop would have lost it
    assert (found.mask & lesion).sum() > 0.3 * lesion.sum()  # forty steps of training call its core
    assert not (found.mask & ~lesion).any()
    record, model = load_model(mirrored_run)
    evaluated = predict_case(model, large, record.preparation, record.problem.size, record.postprocessing.flips)
    np.testing.assert_allclose(found.probability, evaluated.probability, atol=1e-4)
    assert (found.mask == evaluated.mask(record.postprocessing)).mean() >= 0.9999


def test_the_network_is_shown_its_own_size_only(segmenter, large, monkeypatch):
    seen = []

    class Watched:
        def run(self, feeds):
            seen.append(feeds["image"].shape)
            return feeds["image"] * 0

    monkeypatch.setattr(segmenter, "_session", Watched())
    segmenter.segment(large.images["dwi"])
    assert {shape[2:] for shape in seen} == {(32, 32)}


def test_mirror_images_are_averaged_as_in_evaluation(segmenter, mirrored_run, phantom):
    dwi = phantom / "sub-02" / "dwi" / "sub-02_dwi.nii.gz"
    scan = read_volume(dwi)
    with_flips, without = segmenter.probability([scan], flips=True), segmenter.probability([scan])
    assert np.abs(with_flips - without).max() > 1e-3
    assert np.array_equal(segmenter.segment(dwi).probability, with_flips)
    record, model = load_model(mirrored_run)
    mask = phantom / "derivatives" / "truth" / "sub-02" / "dwi" / "sub-02_desc-lesion_mask.nii.gz"
    case = CaseFiles(name="sub-02", subject="sub-02", images={"dwi": dwi}, mask=mask)
    evaluated = predict_case(model, case, record.preparation, record.problem.size, flips=True)
    np.testing.assert_allclose(with_flips, evaluated.probability, atol=1e-4)


def test_the_memory_of_a_large_scan_is_bounded(segmenter, tmp_path):
    """At most 26 bytes for each of its voxels: 4 GB for 512 x 512 x 600."""
    data = np.zeros((256, 293, 37), np.int16)
    data[40:-40, 40:-40, 5:-5] = 200
    data[120:140, 120:140, 15:20] = 500
    data[data > 0] += np.random.default_rng(0).integers(-20, 20, np.count_nonzero(data), np.int16)
    nib.save(nib.Nifti1Image(data, np.diag([0.8, 0.8, 4.0, 1.0])), tmp_path / "dwi.nii.gz")
    segmenter.segment(tmp_path / "dwi.nii.gz", tmp_path / "mask.nii.gz")  # loads what is loaded once
    tracemalloc.start()
    try:
        segmenter.segment(tmp_path / "dwi.nii.gz", tmp_path / "mask.nii.gz")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 26 * data.size
