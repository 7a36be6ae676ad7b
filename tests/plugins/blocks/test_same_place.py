"""Corresponding places in two brains, from their bounding boxes."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.plugins.blocks.same_place import same_place
from strokereg.registry.errors import InputError


def brain(shape, low, high):
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = 1
    return labels


def test_corners_and_middle_of_one_box_are_those_of_the_other():
    here, there = brain((20, 20, 20), (2, 4, 6), (12, 14, 16)), brain((30, 40, 50), (5, 0, 10), (25, 30, 40))
    for point, expected in [((2, 4, 6), (5, 0, 10)), ((12, 14, 16), (25, 30, 40)), ((7, 9, 11), (15, 15, 25))]:
        assert same_place(np.array(point), here, there) == pytest.approx(expected)


def test_a_mirrored_place_is_in_the_other_hemisphere():
    labels = brain((20, 20, 20), (0, 0, 0), (19, 19, 19))
    assert same_place(np.array((3, 4, 5)), labels, labels, mirrored=True) == pytest.approx((3, 4, 14))


def test_a_label_map_without_brain_is_an_error():
    with pytest.raises(InputError, match="a label map holds no brain"):
        same_place(np.zeros(3), brain((4, 4, 4), (0, 0, 0), (3, 3, 3)), np.zeros((4, 4, 4), np.uint8))
