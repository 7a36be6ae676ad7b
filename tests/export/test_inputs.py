"""Random inputs are the same everywhere."""

import numpy as np
import pytest

from strokereg.export.inputs import InputForm


def test_the_inputs_are_the_same_everywhere():
    drawn = InputForm("segmenter", 1, 7).draw(1, (2, 2), np.random.RandomState(20))
    assert drawn["median"][0, 0] == pytest.approx(243.4891, abs=1e-3)
    labels = InputForm("translator", 1, 7, 3).draw(1, (2, 4), np.random.RandomState(20))
    assert labels["labels"].tolist() == [[[3, 2, 4, 2], [1, 4, 3, 6]]]
    assert labels["noise"].shape == (1, 3)
