"""Smoothing and interpolation, beside scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from scipy import ndimage

from strokereg.export.scan import resample

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(("count", "slope"), [(31, 2.7), (31, -1.6), (5, 6.0), (1, 4.0), (9, 0.5)])
def test_smoothing_is_scipys(run, count, slope):
    values = np.random.default_rng(1).normal(size=count)
    (matrix,) = run(resample.smoothing, np.int64(count), np.float64(slope))
    np.testing.assert_allclose(matrix @ values, ndimage.gaussian_filter(values, max(0, (abs(slope) - 1) / 2)))


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(
    ("count", "new", "slope", "start"),
    [
        (9, 30, 0.5, -2.0),
        (9, 12, -1.0, 9.0),
        (9, 14, 0.71, -0.3),
        (2, 8, 0.4, 0.0),
        (1, 4, 1.5, -1.5),
        (40, 9, 7.3, -4.0),
    ],
)
def test_interpolation_is_scipys_up_to_the_edge(run, order, count, new, slope, start):
    values = np.random.default_rng(2).normal(size=count)
    function = resample.linear if order == 1 else resample.cubic
    (matrix,) = run(function, np.int64(count), np.int64(new), np.float64(slope), np.float64(start))
    expected = ndimage.affine_transform(values, np.array([[slope]]), [start], output_shape=(new,), order=order)
    np.testing.assert_allclose(matrix @ values, expected, atol=1e-12)


def test_axes_in_another_order(run):
    image = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    for source in ([2, 1, 0], [1, 2, 0], [0, 2, 1]):
        expected = image.transpose(0, *(1 + axis for axis in source))
        assert np.array_equal(run(resample.reordered, image, np.array(source))[0], expected)
