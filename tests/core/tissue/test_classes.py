"""Each classifier labels the whole brain, keeps the lesion and comes near the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from strokereg.core.cohort.case import Case
from strokereg.core.scan.nifti import read_volume
from strokereg.core.simulate.anatomy import CORTEX, CSF, LESION, VENTRICLE, WHITE
from strokereg.core.tissue import Method
from strokereg.core.tissue.classes import CLASSIFIERS, classify_mixture, mni_map
from strokereg.core.tissue.scan import take_scan


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_every_method_but_external_has_a_classifier():
    assert set(CLASSIFIERS) == set(Method) - {Method.EXTERNAL}


# A voxel of 4.7 mm is seldom one tissue. Location alone finds least.
@pytest.mark.parametrize(
    ("method", "least"), [(Method.HMRF, 0.55), (Method.MIXTURE, 0.4), (Method.KMEANS, 0.45), (Method.ATLAS, 0.3)]
)
def test_labels_cover_the_brain_and_are_near_the_truth(scan, truth, method, least):
    labels = CLASSIFIERS[method](scan)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels > 0, scan.brain)
    assert np.array_equal(labels == LESION, scan.lesion)
    for tissues in ((CSF, VENTRICLE), (CORTEX,), (WHITE,)):
        assert dice(np.isin(labels, tissues), np.isin(truth, tissues)) > least


@pytest.mark.parametrize("method", CLASSIFIERS)
def test_a_dwi_without_adc_is_labelled_too(scan, method):
    weighted = np.log(np.maximum(np.exp(scan.channels[0] - scan.channels[1]), 1e-3))[None]
    labels = CLASSIFIERS[method](replace(scan, channels=weighted.astype(np.float32)))
    assert np.array_equal(labels > 0, scan.brain)
    assert set(np.unique(labels)) <= set(range(LESION + 1))


def flair(real_data, name, in_mni=True):
    """A real FLAIR slice with its lesion."""
    image = read_volume(next((real_data / "soop_flair" / name / "anat").glob("*_FLAIR.nii.gz")))
    mask = next((real_data / "soop_flair" / "derivatives").rglob(f"{name}_*mask.nii.gz"))
    return Case(name, {"FLAIR": replace(image, in_mni=in_mni)}, read_volume(mask).data > 0, None)


@pytest.mark.parametrize("in_mni", [True, False], ids=["in MNI space", "anywhere"])
@pytest.mark.parametrize("name", ["sub-0001", "sub-0002", "sub-0348", "sub-1472"])
def test_a_real_flair_slice(real_data, name, in_mni):
    """Ventricles are dark and near the middle, cortex is outside white matter and brighter."""
    case = flair(real_data, name, in_mni)
    scan = take_scan(case)
    assert (scan.to_mni is not None) == in_mni
    labels = scan.restore(classify_mixture(scan))
    image = case.images["FLAIR"].data
    assert np.array_equal(labels == LESION, case.mask & (labels > 0))
    share = {tissue: np.mean(labels[labels > 0] == tissue) for tissue in (CSF, VENTRICLE, CORTEX, WHITE)}
    assert 0.02 < share[VENTRICLE] < 0.2
    assert 0.02 < share[CSF] < 0.3
    assert 0.15 < share[WHITE] < 0.6
    assert 0.15 < share[CORTEX] < 0.6
    median = {tissue: np.median(image[labels == tissue]) for tissue in share}
    assert max(median[CSF], median[VENTRICLE]) < 0.8 * min(median[CORTEX], median[WHITE])
    middle = np.argwhere(labels > 0).mean(axis=0)
    away = {tissue: np.linalg.norm(np.argwhere(labels == tissue) - middle, axis=1).mean() for tissue in share}
    assert away[VENTRICLE] < 0.7 * away[WHITE] < 0.7 * away[CORTEX]


def test_a_header_that_wrongly_says_mni_is_not_believed(real_data):
    case = flair(real_data, "sub-0002")
    image = case.images["FLAIR"]
    moved = replace(image, affine=image.affine + np.array([[0, 0, 0, 90.0], [0, 0, 0, 0], [0] * 4, [0] * 4]))
    scan = take_scan(replace(case, images={"FLAIR": moved}))
    assert mni_map(scan) is None
    assert mni_map(take_scan(case)) is not None
