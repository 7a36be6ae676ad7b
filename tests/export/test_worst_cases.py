"""The slice that shows the errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from strokereg.core.scan.nifti import Volume
from strokereg.export.worst_cases import worst_slice


def test_the_slice_with_most_wrong_voxels_is_shown_from_below():
    image = np.zeros((4, 5, 6), dtype=np.float32)
    image[1:3, 1:4] = 100
    truth = np.zeros(image.shape, dtype=bool)
    truth[1:3, 1:4, 2] = True
    missed = np.zeros_like(truth)
    false = truth.copy()
    false[1, 1, 4] = True
    scan = Volume(image, np.eye(4), Path("dwi"))
    assert worst_slice(scan, truth, {"a": truth}).truth.sum() == 6  # no error: most lesion
    assert worst_slice(scan, truth, {"a": missed, "b": false}).truth.sum() == 6
    shown = worst_slice(scan, truth, {"b": false})
    assert shown.truth.sum() == 0
    assert np.argwhere(shown.called["b"]).tolist() == [[1, 1]]
    assert shown.image.shape == (5, 4)
