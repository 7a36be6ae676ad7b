"""Windows over a scan, beside the runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from strokereg.core.scan.window import _windows
from strokereg.export.scan import windows

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(("edge", "most"), [(16, 16), (12, 16), (17, 16), (40, 16), (112, 48)])
def test_windows_lie_and_weigh_as_in_the_runtime(run, edge, most):
    starts, weights = run(windows.overlapping, np.int64(edge), np.int64(most), np.float64(0.5), np.float64(1 / 8))
    expected = _windows(edge, min(edge, most), 0.5, 1 / 8)
    assert starts.tolist() == [place.start for place, _ in expected]
    for row, (place, weight) in zip(weights, expected, strict=True):
        np.testing.assert_allclose(row[place], weight, rtol=1e-6)
        assert row.sum() == pytest.approx(weight.sum(), rel=1e-5)
