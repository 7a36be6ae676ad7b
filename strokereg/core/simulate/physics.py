"""Diffusion physics: from tissue properties to the signal of a spin-echo EPI sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strokereg.core.simulate.anatomy import (
    BONE,
    CORTEX,
    CSF,
    DEEP,
    EYE,
    MARROW,
    MUCOSA,
    MUSCLE,
    SKIN,
    SOFT,
    VENTRICLE,
    VESSEL,
    WHITE,
)

Value = float | np.floating | np.ndarray


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
    t2_spread: float = 0.07
    adc_spread: float = 0.05
    texture: float = 0.04


_FLUID = Tissue(density=0.68, t2=1600.0, adc=2.9, t2_spread=0.1, adc_spread=0.03)
TISSUE = {
    CSF: _FLUID,
    VENTRICLE: _FLUID,
    CORTEX: Tissue(density=0.82, t2=100.0, adc=0.83, texture=0.08),
    DEEP: Tissue(density=0.78, t2=76.0, adc=0.74, t2_spread=0.09, texture=0.06),
    WHITE: Tissue(density=0.74, t2=76.0, adc=0.72, texture=0.03),
}


#: Outside the brain, as `Anatomy.head` counts; fat is bright only as far as it is not suppressed.
OUTER = {
    SOFT: Tissue(density=0.7, t2=42.0, adc=1.5, t2_spread=0.2, adc_spread=0.15, texture=0.3),
    SKIN: Tissue(density=0.7, t2=35.0, adc=1.4, t2_spread=0.2, adc_spread=0.2, texture=0.2),
    BONE: Tissue(density=0.03, t2=20.0, adc=0.5),
    MARROW: Tissue(density=0.1, t2=40.0, adc=0.6, t2_spread=0.2, adc_spread=0.2, texture=0.2),
    EYE: Tissue(density=0.68, t2=900.0, adc=2.8),
    MUSCLE: Tissue(density=0.75, t2=40.0, adc=1.5, t2_spread=0.15, adc_spread=0.1),
    MUCOSA: Tissue(density=0.75, t2=75.0, adc=1.5, t2_spread=0.3, adc_spread=0.2, texture=0.3),
    VESSEL: Tissue(density=0.05, t2=100.0, adc=3.0),
}
#: Fat where it is not suppressed; it hardly diffuses.
FAT = Tissue(density=0.8, t2=60.0, adc=0.05)
#: T2 at 1.5 T over that at 3 T.
T2_AT_LOW_FIELD = 1.08


@dataclass(frozen=True)
class Sequence:
    """A diffusion-weighted sequence.

    Attributes:
        echo_ms: echo time in ms.
        b: diffusion weighting in s/mm².
        tesla: field strength.
        thickness, gap: of the slices, in mm; 0 for slices as thick as the voxels of the scan.
    """

    echo_ms: float = 90.0
    b: float = 1000.0
    tesla: float = 3.0
    thickness: float = 0.0
    gap: float = 0.0


def draw_sequence(rng: np.random.Generator) -> Sequence:
    """Draw a sequence as hospitals use them: 1.5 or 3 T, b 800 to 1500 (rarely above), slices of 2 to 6.5 mm."""
    tesla = float(rng.choice([1.5, 3.0], p=[0.4, 0.6]))
    echo = rng.uniform(60.0, 100.0) if tesla > 2 else rng.uniform(70.0, 112.0)
    b = float(rng.choice([800, 900, 1000, 1200, 1500, 2000, 2500], p=[0.06, 0.04, 0.7, 0.07, 0.07, 0.03, 0.03]))
    thickness = float(rng.choice([0.0, 3.0, 4.0, 5.0, 6.0, 6.5], p=[0.4, 0.15, 0.13, 0.2, 0.07, 0.05]))
    gap = round(float(thickness * rng.uniform(0.0, 0.3)), 1) if rng.random() < 0.6 else 0.0
    return Sequence(round(float(echo), 1), b, tesla, thickness, gap)


def signal(density: Value, t2: Value, adc: Value, echo_ms: float, b: float) -> np.ndarray:
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
