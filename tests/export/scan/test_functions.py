"""Each stretch of the way, function by function, beside numpy, scipy and nibabel."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from strokereg.core.scan.window import _windows
from strokereg.export.scan import (
    brain,
    domain,
    frame,
    lesions,
    resample,
    windows,
)

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("count", [1, 2, 6, 101, 4000])
def test_median_and_quantiles_are_numpys(run, count):
    values = np.random.default_rng(0).gamma(2.0, 100.0, count).astype(np.float32)
    assert run(brain.median, values)[0] == np.median(values)
    assert run(brain.quantile, values, np.float64(0.99))[0] == np.percentile(values, 99)
    wide = values.astype(np.float64)
    for share in (0.0, 0.5, 99.5, 100.0):
        assert run(brain.quantile, wide, np.float64(share / 100))[0] == pytest.approx(np.percentile(wide, share))


@few
@given(seed=st.integers(0, 999), shear=st.floats(0.0, 0.5))
def test_axes_are_those_of_nibabel(run, seed, shear):
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = (turn + shear * rng.normal(size=(3, 3))) * rng.uniform(0.4, 6.0, 3)
    affine = np.eye(4)
    affine[:3, :3] = matrix
    axes, signs = run(frame.orientation, matrix, np.sqrt((matrix**2).sum(axis=0)))
    assert np.array_equal(np.stack([axes, signs], axis=1), nib.orientations.io_orientation(affine))


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


@pytest.mark.parametrize(("edge", "most"), [(16, 16), (12, 16), (17, 16), (40, 16), (112, 48)])
def test_windows_lie_and_weigh_as_in_the_runtime(run, edge, most):
    starts, weights = run(windows.overlapping, np.int64(edge), np.int64(most), np.float64(0.5), np.float64(1 / 8))
    expected = _windows(edge, min(edge, most), 0.5, 1 / 8)
    assert starts.tolist() == [place.start for place, _ in expected]
    for row, (place, weight) in zip(weights, expected, strict=True):
        np.testing.assert_allclose(row[place], weight, rtol=1e-6)
        assert row.sum() == pytest.approx(weight.sum(), rel=1e-5)


def kept(mask, smallest):
    numbered, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    large = np.bincount(numbered.ravel()) >= smallest
    large[0] = False
    return large[numbered]


@few
@given(seed=st.integers(0, 99), share=st.sampled_from([0.0, 0.02, 0.06, 0.12, 1.0]))
def test_small_lesions_are_those_of_scipy(run, seed, share):
    mask = np.random.default_rng(seed).random((17, 9, 12)) < share
    (found,) = run(lesions.large, mask, np.float64(1.0), np.float64(4.0))
    assert np.array_equal(found, kept(mask, 4))


def test_a_long_winding_lesion_is_one(run):
    mask = np.zeros((33, 33, 3), dtype=bool)
    mask[::4, :, 1] = True
    mask[2::8, -1, 1] = mask[1::8, -1, 1] = mask[3::8, -1, 1] = True
    mask[6::8, 0, 1] = mask[5::8, 0, 1] = mask[7::8, 0, 1] = True
    assert ndimage.label(mask, np.ones((3, 3, 3)))[1] == 1
    count = float(mask.sum())
    for smallest, left in ((count, mask.sum()), (count + 1, 0)):
        assert run(lesions.large, mask, np.float64(1.0), np.float64(smallest))[0].sum() == left


def test_extent_of_something_and_of_nothing(run):
    inside = np.zeros((5, 6, 7), dtype=bool)
    assert [end.tolist() for end in run(domain.extent, inside)] == [[0, 0, 0], [4, 5, 6]]
    inside[1:3, 4, 2:6] = True
    assert [end.tolist() for end in run(domain.extent, inside)] == [[1, 4, 2], [2, 4, 5]]
