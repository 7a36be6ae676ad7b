import numpy as np

from strokereg.core.simulate.fields import smooth_field


def test_a_field_is_repeatable_and_of_unit_spread():
    fields = [smooth_field(np.random.default_rng(0), (60, 50, 40), 4.0) for _ in range(2)]
    assert np.array_equal(*fields)
    assert fields[0].shape == (60, 50, 40)
    assert fields[0].dtype == np.float32
    assert abs(fields[0].mean()) < 0.15
    assert 0.85 < fields[0].std() < 1.15


def test_a_larger_scale_is_smoother():
    fine, coarse = (smooth_field(np.random.default_rng(1), (64, 64, 64), scale) for scale in (4.0, 16.0))
    assert np.abs(np.diff(coarse, axis=0)).mean() < 0.5 * np.abs(np.diff(fine, axis=0)).mean()
