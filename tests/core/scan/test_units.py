"""The unit of an ADC map is recognised by the median of the brain."""

from __future__ import annotations

import pytest

from strokereg.core.scan.units import UNITS, unit_of


@pytest.mark.parametrize("unit", UNITS)
def test_each_unit_is_recognised(unit):
    assert unit_of(0.8 / UNITS[unit]) == unit


@pytest.mark.parametrize("median", [0.0, -0.8, 30.0, 0.02])
def test_other_medians_fit_no_unit(median):
    assert unit_of(median) is None


def test_limits_can_be_narrower():
    assert unit_of(2.5) == "10⁻³ mm²/s"
    assert unit_of(2.5, (0.4, 2.0)) is None
