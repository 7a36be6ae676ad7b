"""What older brains show besides the acute lesion: white-matter lesions, scars, shine-through, bleeds, plexus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strokereg.core.simulate.anatomy import CORTEX, WHITE
from strokereg.core.simulate.head import Head

# Pathways with a longer T2 or a slower trace diffusion than other white matter: MNI mm (both sides of x), radii in mm.
_PATHWAYS = (
    ((24.0, -20.0, 8.0), (5.0, 7.0, 14.0)),  # corticospinal tract in the internal capsule
    ((22.0, -24.0, 38.0), (6.0, 8.0, 14.0)),  # the same in the corona radiata
    ((12.0, -40.0, 14.0), (12.0, 7.0, 7.0)),  # splenium
    ((8.0, -28.0, -28.0), (7.0, 8.0, 14.0)),  # pons and peduncles
)
_PALLIDUM = ((19.0, -4.0, 0.0), (5.0, 8.0, 6.0))  # iron shortens its T2
_PLEXUS = (24.0, -40.0, 10.0)  # in the atrium of the lateral ventricle


@dataclass
class Findings:
    """Changes of the brain voxels, float32 [N] each.

    Attributes:
        adc, t2: factors of healthy tissue.
        fluid: share of tissue that fluid has replaced.
        plexus: share of the ventricles' fluid that is choroid plexus.
        plexus_t2, plexus_adc: of the plexus, in ms and 10⁻³ mm²/s.
    """

    adc: np.ndarray
    t2: np.ndarray
    fluid: np.ndarray
    plexus: np.ndarray
    plexus_t2: float
    plexus_adc: float


def draw_findings(rng: np.random.Generator, head: Head, mask: np.ndarray) -> Findings:
    """Draw what else the brain shows. None of it is labelled as lesion, and none of it lies in the acute lesion.

    Args:
        mask: the acute lesion, bool [X, Y, Z].
    """
    tissue, lesion = head.dseg[head.brain], mask[head.brain]
    ones = np.ones(tissue.size, dtype=np.float32)
    found = Findings(ones, ones.copy(), ones * 0, ones * 0, rng.uniform(110.0, 300.0), rng.uniform(0.9, 2.2))
    places = np.flatnonzero(((tissue == WHITE) | (tissue == CORTEX)) & ~lesion)
    free = (~lesion).astype(np.float32)

    def spot(median_mm: float, spread: float = 0.5) -> np.ndarray:
        centre = head.inside[:, places[int(rng.integers(places.size))]]
        return free * head.ball(centre, rng.lognormal(np.log(median_mm), spread) * np.exp(rng.normal(0, 0.3, 3)))

    _age_white_matter(rng, head, found, free)
    iron = np.float32(rng.uniform(0.05, 0.35))
    for side in (-1.0, 1.0):
        found.t2 *= 1.0 - iron * free * head.ball(np.array(_PALLIDUM[0]) * (side, 1, 1), np.array(_PALLIDUM[1]))
    for centre, radii in _PATHWAYS:
        longer, slower = rng.uniform(0.0, 0.2), rng.uniform(-0.08, 0.02)
        for side in (-1.0, 1.0):
            weight = free * head.ball(np.array(centre) * (side, 1, 1), np.array(radii))
            found.t2 += np.float32(longer) * weight
            found.adc += np.float32(slower) * weight
    for _ in range(rng.poisson(1.0)):  # T2 shine-through
        weight = spot(5.0)
        found.t2 += np.float32(rng.uniform(0.3, 0.7)) * weight
        found.adc += np.float32(rng.uniform(0.1, 0.5)) * weight
    for _ in range(rng.poisson(0.8)):  # old infarcts: fluid, with a rim of gliosis
        weight = spot(7.0, 0.7)
        core = weight**3 * np.float32(rng.uniform(0.5, 0.98))
        found.fluid = np.maximum(found.fluid, core)
        found.t2 += np.float32(rng.uniform(0.1, 0.6)) * weight
        found.adc += np.float32(rng.uniform(0.1, 0.6)) * weight
    for _ in range(rng.poisson(0.3)):  # old blood and iron
        found.t2 *= 1.0 - np.float32(rng.uniform(0.4, 0.8)) * spot(3.0)
    for side in (-1.0, 1.0):
        if rng.random() < 0.8:
            atrium = np.array(_PLEXUS) * (side, 1, 1) + rng.normal(0, 3.0, 3)
            found.plexus = np.maximum(found.plexus, head.ball(atrium, rng.lognormal(np.log(5.0), 0.4)))
    return found


def _age_white_matter(rng: np.random.Generator, head: Head, found: Findings, free: np.ndarray) -> None:
    """White-matter lesions of presumed vascular origin: caps around the ventricles, and patches in the depth."""
    load = rng.choice([0.0, 0.4, 1.0], p=[0.35, 0.35, 0.3])
    if not load:
        return
    near = np.exp(-((head.from_ventricles() / np.float32(rng.uniform(2.0, 4.0 + 6.0 * load))) ** 2))
    caps = near * np.clip(0.5 + 0.6 * head.field(rng, 12.0), 0.0, 1.0)
    patches = np.clip(2.0 * (head.field(rng, 7.0) - np.float32(2.4 - 0.8 * load)), 0.0, 1.0)
    weight = np.maximum(caps, patches) * free * head.shares[WHITE]
    found.t2 += np.float32(rng.uniform(0.2, 0.7)) * weight
    found.adc += np.float32(rng.uniform(0.15, 0.6)) * weight
