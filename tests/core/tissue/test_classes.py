"""Each classifier labels the whole brain, keeps the lesion and comes near the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from strokereg.core.simulate.anatomy import CORTEX, CSF, LESION, VENTRICLE, WHITE
from strokereg.core.tissue import Method
from strokereg.core.tissue.classes import CLASSIFIERS


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_every_method_but_external_has_a_classifier():
    assert set(CLASSIFIERS) == set(Method) - {Method.EXTERNAL}


# A voxel of 4.7 mm is seldom one tissue. Location alone finds least.
@pytest.mark.parametrize(("method", "least"), [(Method.HMRF, 0.55), (Method.KMEANS, 0.45), (Method.ATLAS, 0.3)])
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
