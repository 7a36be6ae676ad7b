"""An ischaemic lesion by its age: diffusion falls, returns to normal and rises, while T2 rises and stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strokereg.core.simulate.anatomy import WHITE
from strokereg.core.simulate.physics import TISSUE, Sequence

#: Hours since onset → mean ADC and T2 over those of healthy tissue. Schlaug et al. 1997, doi:10.1212/WNL.49.1.113;
#: Lansberg et al. 2001, AJNR 22:637.
HOURS = (0.0, 3.0, 12.0, 48.0, 96.0, 168.0, 240.0, 336.0)
ADC = (0.75, 0.66, 0.56, 0.52, 0.56, 0.74, 0.95, 1.20)
T2 = (1.0, 1.03, 1.12, 1.30, 1.42, 1.45, 1.45, 1.45)
_FIRST, _LAST = 3.0, 336.0
_LEAST_CONTRAST = 1.2  # readers see a lesion on DWI, or it would not be one


@dataclass(frozen=True)
class Ischaemia:
    """A lesion's change of its tissue.

    Attributes:
        hours: since onset.
        adc, t2, water: over those of healthy tissue.
    """

    hours: float
    adc: float
    t2: float
    water: float

    def contrast(self, sequence: Sequence) -> float:
        """Its DWI signal in white matter over that of healthy white matter."""
        normal = TISSUE[WHITE]
        decay = np.exp(sequence.echo_ms / normal.t2 * (1.0 - 1.0 / self.t2))
        return float(self.water * decay * np.exp(sequence.b * 1e-3 * normal.adc * (1.0 - self.adc)))


def draw_ischaemia(rng: np.random.Generator, sequence: Sequence) -> Ischaemia:
    """Draw a lesion between three hours and two weeks old, log-uniformly; it is visible on this sequence's DWI."""
    hours = float(_FIRST * (_LAST / _FIRST) ** rng.random())
    severity = rng.uniform(0.7, 1.25)
    adc = 1.0 + severity * (np.interp(hours, HOURS, ADC) - 1.0) + rng.normal(0, 0.05)
    t2 = 1.0 + severity * (np.interp(hours, HOURS, T2) - 1.0) * rng.lognormal(0, 0.35)
    found = Ischaemia(hours, float(np.clip(adc, 0.3, 1.4)), float(np.clip(t2, 0.95, 2.1)), rng.uniform(1.02, 1.1))
    while found.contrast(sequence) < _LEAST_CONTRAST:
        found = Ischaemia(hours, found.adc, found.t2 + 0.05, found.water)
    return found
