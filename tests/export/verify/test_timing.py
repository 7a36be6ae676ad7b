"""What networks are timed on."""

import numpy as np
import pytest

from strokereg.export.verify.timing import head_labels


@pytest.mark.parametrize("size", [(48, 64), (16, 24, 32)])
def test_label_maps_are_as_those_of_heads(size):
    maps = head_labels(7, 3, size)
    assert (maps.shape, maps.dtype) == ((3, *size), np.int64)
    assert np.unique(maps).tolist() == list(range(7))
    assert not np.array_equal(maps[0], maps[1])
    # Areas, not noise: most neighbours are alike, and the corners are background.
    assert (np.diff(maps, axis=-1) == 0).mean() > 0.7
    assert maps[(slice(None), *(0,) * len(size))].tolist() == [0, 0, 0]


def test_two_labels_are_background_and_lesion():
    assert np.unique(head_labels(2, 1, (32, 32))).tolist() == [0, 1]
