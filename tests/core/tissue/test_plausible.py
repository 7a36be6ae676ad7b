"""Volumes that no brain has are named."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.open import read_folder
from strokereg.core.simulate.anatomy import CORTEX, CSF, WHITE
from strokereg.core.tissue.classes import classify_hmrf
from strokereg.core.tissue.plausible import cortex_to_white, implausible
from strokereg.core.tissue.scan import take_scan


def head(cortex_ml, white_ml):
    """A label map of 64³ voxels of 3 mm with these volumes."""
    labels = np.zeros(64**3, np.uint8)
    ends = np.cumsum([round(ml / 0.027) for ml in (cortex_ml, white_ml, 200)])
    for start, end, tissue in zip((0, *ends), ends, (CORTEX, WHITE, CSF), strict=False):
        labels[start:end] = tissue
    return labels.reshape(64, 64, 64)


def test_volumes_that_no_brain_has():
    spacing = (3.0, 3.0, 3.0)
    assert implausible(head(600, 520), spacing) is None
    assert "cortex measures 342 ml and white matter 581 ml, a ratio of 0.59, but 0.9 to 1.5" in implausible(
        head(342, 581), spacing
    )
    assert "a ratio of 2.00" in implausible(head(800, 400), spacing)
    assert "grey and white matter measure 400 ml, but 600 to 1800" in implausible(head(200, 200), spacing)
    assert implausible(head(200, 200)[:, :, :10], spacing) is None  # a slab does not show a whole brain


@pytest.mark.slow
def test_cortex_that_looks_white_is_found_on_real_scans(real_data):
    """Much cortex of these two brains was called white: 342 ml beside 581, and 401 beside 548."""
    if not (real_data / "isles22_more").is_dir():
        pytest.skip("isles22_more is not there")
    for files in read_folder(real_data / "isles22_more").cases:
        scan = take_scan(read_case(files, ("dwi", "adc")))
        labels = classify_hmrf(scan)
        assert 1.0 < cortex_to_white(labels) < 1.3
        assert implausible(labels, tuple(scan.spacing)) is None
