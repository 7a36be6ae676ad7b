"""Boxes around masks and brains."""

from __future__ import annotations

import numpy as np

from strokereg.core.scan.box import Box, extent, inner_extent


def test_extent_is_the_first_and_last_voxel():
    mask = np.zeros((6, 7, 8), bool)
    mask[1:4, 2, 3:8] = True
    assert extent(mask).tolist() == [[1, 3], [2, 2], [3, 7]]


def test_inner_extent_passes_over_stray_voxels():
    mask = np.zeros((50, 50, 50), bool)
    mask[10:40, 10:40, 10:40] = True
    mask[0, 0, 0] = True
    assert inner_extent(mask).T.tolist() == [[10.0, 39.0]] * 3


def test_shares_and_voxels_are_inverse():
    labels = np.zeros((10, 12, 14), np.uint8)
    labels[2:7, 3:9, 4:11] = 1
    box = Box.around(labels)
    assert box.share(np.array([[2.0, 3.0, 4.0], [6.0, 8.0, 10.0]])).tolist() == [[0, 0, 0], [1, 1, 1]]
    points = np.random.default_rng(0).uniform(0, 10, (5, 3))
    np.testing.assert_allclose(box.voxels(box.share(points)), points)


def test_without_a_brain_the_box_is_the_array():
    box = Box.around(np.zeros((10, 12, 14)))
    assert (box.low.tolist(), box.high.tolist()) == ([0, 0, 0], [9, 11, 13])
