"""The tissue atlas: shares that sum to one, and a map onto a brain that alignment improves."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.simulate.anatomy import CORTEX, CSF, DEEP, MNI_BOX, PARENCHYMA, VENTRICLE, WHITE
from strokereg.core.tissue.atlas import (
    align,
    embedded_atlas,
    map_by_extent,
    map_from_mni,
    maps_of_slab,
    place_shares,
    share_outside,
)

ROWS = (CSF, VENTRICLE, CORTEX, DEEP, WHITE)


def agreement(matrix, brain, truth):
    """Mean share of the true tissue."""
    shares = place_shares(matrix, brain)
    inside = truth[brain]
    return np.mean([shares[row, inside == tissue].mean() for row, tissue in enumerate(ROWS)])


@pytest.fixture(scope="module")
def brain(scan, truth):
    return scan.brain & np.isin(truth, ROWS)


@pytest.fixture(scope="module")
def matrix(truth):
    return map_by_extent(np.isin(truth, PARENCHYMA))


def test_shares_sum_to_one_and_beyond_the_grid_is_background():
    atlas = embedded_atlas()
    np.testing.assert_allclose(atlas.shares.sum(axis=0), 1.0, atol=1e-4)
    far = atlas.at(np.full((3, 1), -50.0))
    assert far[:, 0].tolist() == [1.0, 0, 0, 0, 0, 0]


def test_slopes_are_the_derivatives_of_the_shares():
    atlas = embedded_atlas()
    points = np.round(atlas.box.mean(axis=0))[:, None] + np.array([[4.0, -7.0], [3.0, 9.0], [5.0, 2.0]])
    slopes = atlas.slopes_at(points)
    for axis in range(3):
        step = np.eye(3)[:, axis : axis + 1]
        np.testing.assert_allclose(slopes[axis], (atlas.at(points + step) - atlas.at(points - step)) / 2, atol=1e-5)


def test_the_extent_of_the_parenchyma_is_matched(matrix, truth):
    box = embedded_atlas().box
    parenchyma = np.argwhere(np.isin(truth, PARENCHYMA)).T
    mapped = matrix[:, :3] @ parenchyma + matrix[:, 3:]
    np.testing.assert_allclose(np.percentile(mapped, (0.5, 99.5), axis=1), box, atol=3.0)


def test_shares_follow_the_truth_and_alignment_improves_a_displaced_map(brain, matrix, scan, truth):
    assert agreement(matrix, brain, truth) > 0.35  # chance gives 0.2, and a voxel of 4.7 mm is seldom one tissue
    displaced = matrix.copy()
    displaced[:, 3] += (4.0, -4.0, 3.0)
    likelihood = np.stack([np.where(truth[brain] == tissue, 1.0, 0.05) for tissue in ROWS])
    aligned = align(displaced, brain, likelihood, scan.spacing)
    assert agreement(aligned, brain, truth) > agreement(displaced, brain, truth) + 0.05


def test_shares_on_a_grid_are_those_at_its_points():
    atlas, shape = embedded_atlas(), (7, 5, 3)
    scale, offset = np.array([-3.7, 2.2, 9.0]), np.array([80.0, 30.3, 20.6])
    points = scale[:, None] * np.indices(shape).reshape(3, -1) + offset[:, None]
    np.testing.assert_allclose(atlas.on_grid(scale, offset, shape).reshape(6, -1), atlas.at(points), atol=1e-5)


def test_a_scan_in_mni_space_needs_no_search():
    matrix = map_from_mni(np.diag([2.0, 2.0, 2.0, 1.0]))
    atlas = embedded_atlas()
    np.testing.assert_allclose(matrix[:, :3] @ (MNI_BOX.T / 2.0) + matrix[:, 3:], atlas.box.T)
    parenchyma = atlas.shares[[CORTEX, DEEP, WHITE]].sum(axis=0) > 0.5
    aligned = np.column_stack([np.eye(3), np.zeros(3)])
    assert share_outside(aligned, parenchyma) < 0.1
    assert share_outside(aligned + np.array([[0, 0, 0, 60.0], [0] * 4, [0] * 4]), parenchyma) > 0.4


@pytest.mark.parametrize("height", [40, 52, 66])
def test_a_slab_is_tried_at_its_own_height(height):
    atlas = embedded_atlas()
    brain = atlas.shares[0, :, :, height, None] < 0.5
    heights = [matrix[2, 3] for matrix in maps_of_slab(brain, np.array([2.0, 2.0, 3.0]))]
    assert min(abs(np.array(heights) - height)) <= 1.5
    sizes = [matrix[0, 0] for matrix in maps_of_slab(brain, np.array([2.0, 2.0, 3.0]))]
    assert max(abs(np.log(sizes))) < 0.31
