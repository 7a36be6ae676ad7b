"""Helpers of all functions."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, settings

from strokereg.export.scan import domain

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_extent_of_something_and_of_nothing(run):
    inside = np.zeros((5, 6, 7), dtype=bool)
    assert [end.tolist() for end in run(domain.extent, inside)] == [[0, 0, 0], [4, 5, 6]]
    inside[1:3, 4, 2:6] = True
    assert [end.tolist() for end in run(domain.extent, inside)] == [[1, 4, 2], [2, 4, 5]]
