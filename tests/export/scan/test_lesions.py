"""Small lesions, beside scipy."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from strokereg.export.scan import lesions

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
