"""Diffusion physics: from tissue properties to the signal of a spin-echo EPI sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strokereg.core.simulate.anatomy import CORTEX, CSF, DEEP, VENTRICLE, WHITE

_Value = float | np.floating | np.ndarray


@dataclass(frozen=True)
class Tissue:
    """Healthy tissue at 3 T; spreads are relative.

    Attributes:
        density: proton density relative to water, times the T1 saturation at a repetition time of about 5 s.
        t2: in ms.
        adc: in 10⁻³ mm²/s.
        t2_spread, adc_spread: spread between people.
        texture: spread of T2 and ADC within one head.
    """

    density: float
    t2: float
    adc: float
    t2_spread: float = 0.05
    adc_spread: float = 0.04
    texture: float = 0.04


_FLUID = Tissue(density=0.68, t2=1600.0, adc=2.9, t2_spread=0.1, adc_spread=0.03)
TISSUE = {
    CSF: _FLUID,
    VENTRICLE: _FLUID,
    CORTEX: Tissue(density=0.82, t2=100.0, adc=0.83, texture=0.08),
    DEEP: Tissue(density=0.78, t2=82.0, adc=0.74),
    WHITE: Tissue(density=0.74, t2=76.0, adc=0.72, texture=0.03),
}


@dataclass(frozen=True)
class Sequence:
    """Echo time in ms and diffusion weighting b in s/mm² of the DWI."""

    echo_ms: float = 90.0
    b: float = 1000.0


def signal(density: _Value, t2: _Value, adc: _Value, echo_ms: float, b: float) -> np.ndarray:
    """Signal of a diffusion-weighted spin echo, S = PD · exp(-TE/T2) · exp(-b·ADC).

    Stejskal and Tanner 1965, doi:10.1063/1.1695690.

    Args:
        density: relative proton density.
        t2: in ms.
        adc: in 10⁻³ mm²/s.
        echo_ms: echo time in ms.
        b: diffusion weighting in s/mm².
    """
    return np.asarray(density * np.exp(-echo_ms / t2) * np.exp(-b * 1e-3 * adc))


def diffusion_map(plain: np.ndarray, weighted: np.ndarray, b: float) -> np.ndarray:
    """ADC in 10⁻³ mm²/s from two magnitude images (b = 0 and b), clipped to 0 … 4 as on scanners."""
    ratio = np.maximum(plain, 1e-6) / np.maximum(weighted, 1e-6)
    return np.clip(np.log(ratio) / (b * 1e-3), 0.0, 4.0)
