"""Units of ADC maps, recognised by the median of the brain."""

from __future__ import annotations

#: Unit → factor to 10⁻³ mm²/s, the unit in which cohorts keep ADC. The units lie a factor of a thousand apart.
UNITS = {"10⁻³ mm²/s": 1.0, "10⁻⁶ mm²/s": 1e-3, "mm²/s": 1e3}
UNIT = "10⁻³ mm²/s"


def unit_of(median: float, limits: tuple[float, float] = (0.3, 3.0)) -> str | None:
    """The unit of an ADC map: one of `UNITS`, or None if no unit brings the median between the limits.

    Args:
        median: of the map's values in the brain.
        limits: in 10⁻³ mm²/s. Grey and white matter have 0.7 to 0.9, fluid has 3.
    """
    return next((unit for unit, factor in UNITS.items() if limits[0] <= median * factor <= limits[1]), None)
