"""Median and quantiles of a scan, beside numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from strokereg.export.scan import brain

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("count", [1, 2, 6, 101, 4000])
def test_median_and_quantiles_are_numpys(run, count):
    values = np.random.default_rng(0).gamma(2.0, 100.0, count).astype(np.float32)
    assert run(brain.median, values)[0] == np.median(values)
    assert run(brain.quantile, values, np.float64(0.99))[0] == np.percentile(values, 99)
    wide = values.astype(np.float64)
    for share in (0.0, 0.5, 99.5, 100.0):
        assert run(brain.quantile, wide, np.float64(share / 100))[0] == pytest.approx(np.percentile(wide, share))
