"""A scan's axes, beside nibabel."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strokereg.export.scan import frame

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
