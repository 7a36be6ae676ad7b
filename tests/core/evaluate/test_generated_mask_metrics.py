"""Masks in numbers: the formulas on shapes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.evaluate.generated_mask_metrics import describe, location


def ball(radius, size, dims):
    axes = np.indices((size,) * dims) - (size - 1) / 2
    return (axes**2).sum(axis=0) <= radius**2


def test_a_box():
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[1:3, 1:4, 1:5] = True  # 2 × 3 × 4 voxels of 2 × 1 × 3 mm
    shape = describe(mask, (2.0, 1.0, 3.0))
    assert shape.volume == pytest.approx(24 * 6 / 1000)
    surface = 2 * (4 * 3 + 4 * 12 + 3 * 12)
    assert shape.surface_to_volume == pytest.approx(surface / 144)
    assert shape.components == 1


def test_pieces_that_touch_by_a_corner_are_one():
    mask = np.zeros((6, 6), dtype=bool)
    mask[1, 1] = mask[2, 2] = mask[5, 5] = True
    shape = describe(mask, (1.0, 1.0))
    assert (shape.volume, shape.components) == (3.0, 2.0)


@pytest.mark.parametrize(("dims", "round"), [(2, np.pi / 4), (3, 2 / 3)])
def test_sphericity_of_balls_is_the_same_at_any_size_and_larger_than_of_rods(dims, round):
    values = [describe(ball(radius, 64, dims), (1.0,) * dims).sphericity for radius in (12, 24)]
    assert values == pytest.approx([round] * 2, rel=0.03)
    rod = np.zeros((40,) * dims, dtype=bool)
    rod[(slice(1, 39), *(slice(1, 3),) * (dims - 1))] = True
    assert describe(rod, (1.0,) * dims).sphericity < 0.7 * round


def test_every_mask_weighs_the_same_in_the_location():
    masks = np.zeros((2, 16, 16), dtype=bool)
    masks[0, 0, 0] = True
    masks[1, 8:, 8:] = True
    heat = location(masks, 4.0)
    assert heat.shape == (2, 2)
    assert heat.tolist() == [[0.5, 0.0], [0.0, 0.5]]
