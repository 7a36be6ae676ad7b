"""The units in which ADC maps come, told from the brain's own median."""

from __future__ import annotations

import numpy as np

from strokereg.core.scan.grid import brain_median

#: Unit → factor to 10⁻³ mm²/s, in which cohorts keep ADC.
UNITS = {"10⁻³ mm²/s": 1.0, "10⁻⁶ mm²/s": 1e-3, "mm²/s": 1e3}
UNIT = "10⁻³ mm²/s"
_MEDIAN = (0.3, 3.0)  # of a brain in 10⁻³ mm²/s: grey and white matter have 0.7–0.9, fluid 3


def unit_of(adc: np.ndarray) -> str | None:
    """One of `UNITS`, or None where the median of the brain fits none of them; the units lie a thousandfold apart."""
    median = brain_median(adc)
    return next((unit for unit, factor in UNITS.items() if _MEDIAN[0] <= median * factor <= _MEDIAN[1]), None)
