"""The tissue atlas: shares that sum to one, and a map onto a brain that alignment improves."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.simulate.anatomy import CORTEX, CSF, DEEP, PARENCHYMA, VENTRICLE, WHITE
from strokereg.core.tissue.atlas import align, embedded_atlas, map_by_extent, place_shares

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
