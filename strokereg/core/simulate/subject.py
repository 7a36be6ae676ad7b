"""One simulated subject: anatomy, lesion, sequence and scanner combined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.simulate.anatomy import CORTEX, CSF, PARENCHYMA, WHITE, Anatomy
from strokereg.core.simulate.fields import smooth_field
from strokereg.core.simulate.lesions import MniLesion, grow_lesion, place_lesion
from strokereg.core.simulate.physics import TISSUE, Sequence, diffusion_map, signal
from strokereg.core.simulate.pose import GRID, SPACING, draw_pose, tissue_shares
from strokereg.core.simulate.scanner import add_noise, blur, rims, shading


@dataclass(frozen=True)
class Subject:
    """A simulated case, all arrays [X, Y, Z] on one grid.

    Attributes:
        dwi: int16, scanner units, exactly 0 outside the brain.
        adc: float32, 10⁻³ mm²/s, exactly 0 outside the brain.
        dseg: uint8, `core.cohort.labels.TISSUES`, with the lesion.
        lesion: bool, the true lesion mask.
        second_reader: bool, the lesion as another reader might have drawn it.
        affine: 4×4, voxel → world mm.
        sequence: echo time and b-value.
    """

    dwi: np.ndarray
    adc: np.ndarray
    dseg: np.ndarray
    lesion: np.ndarray
    second_reader: np.ndarray
    affine: np.ndarray
    sequence: Sequence

    def facts(self) -> dict[str, float]:
        """Lesion volume in ml, mean DWI and ADC in the lesion over the rest of the brain, the two readers' Dice."""
        rest = (self.dseg > 0) & ~self.lesion
        voxel_ml = float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0
        both = float((self.lesion & self.second_reader).sum())
        return {
            "lesion_ml": round(float(self.lesion.sum()) * voxel_ml, 3),
            "dwi_ratio": round(float(self.dwi[self.lesion].mean() / self.dwi[rest].mean()), 3),
            "adc_ratio": round(float(self.adc[self.lesion].mean() / self.adc[rest].mean()), 3),
            "reader_dice": round(2 * both / float(self.lesion.sum() + self.second_reader.sum()), 3),
        }


def simulate_subject(
    rng: np.random.Generator,
    anatomy: Anatomy,
    lesion: MniLesion | float,
    shape: tuple[int, int, int] = GRID,
    spacing: float = SPACING,
) -> Subject:
    """Simulate one subject.

    Args:
        rng: source of all random numbers, drawn in a fixed order.
        anatomy: the head.
        lesion: a mask from MNI space, or the volume in ml of one to grow.
        shape: grid (X, Y, Z).
        spacing: isotropic voxel edge in mm.
    """
    pose = draw_pose(rng, anatomy, shape, spacing)
    brain, shares = tissue_shares(anatomy, pose)
    dseg = np.zeros(shape, dtype=np.uint8)
    dseg[brain] = 1 + shares[1:].argmax(axis=0)
    parenchyma = np.isin(dseg, PARENCHYMA)
    head = _Head(brain, dseg, shares, anatomy.to_mni(pose.points), spacing)
    if isinstance(lesion, MniLesion):
        mask = place_lesion(rng, lesion, head.mni, parenchyma)
    else:
        mask = grow_lesion(rng, lesion, head.mni, parenchyma, spacing**3 / 1000.0)
    sequence = Sequence(echo_ms=round(float(rng.uniform(80, 100)), 1))
    plain, weighted = _signals(rng, head, mask, sequence)

    spread = blur(rng, spacing)
    gain = shading(rng, brain, spacing) * rims(rng, brain, head.mni, spacing)
    plain, weighted = (ndimage.gaussian_filter(image, spread) * gain for image in (plain, weighted))
    level = float(np.median(weighted[brain]))
    noise = level / rng.uniform(12.0, 25.0)
    plain, weighted = (add_noise(rng, image, noise, brain) for image in (plain, weighted))
    adc = np.where(brain, np.maximum(diffusion_map(plain, weighted, sequence.b), 0.001), 0.0)
    scale = rng.lognormal(np.log(300.0), 0.35) / level
    dwi = np.where(brain, np.clip(np.rint(weighted * scale), 1, 32767), 0).astype(np.int16)
    second = _draw_again(rng, mask, parenchyma, spacing)
    dseg[mask] = TISSUES.lesion
    return Subject(dwi, np.round(adc, 3).astype(np.float32), dseg, mask, second, pose.affine, sequence)


@dataclass(frozen=True)
class _Head:
    """A head on the scan's grid [X, Y, Z]: `shares` is [tissues, N brain voxels], `mni` [3, X, Y, Z] in mm."""

    brain: np.ndarray
    dseg: np.ndarray
    shares: np.ndarray
    mni: np.ndarray
    spacing: float


def _signals(
    rng: np.random.Generator, head: _Head, mask: np.ndarray, sequence: Sequence
) -> tuple[np.ndarray, np.ndarray]:
    """Images without and with diffusion weighting, [X, Y, Z] each, before any effect of the scanner."""
    brain, shares, spacing = head.brain, head.shares, head.spacing

    def field(scale_mm: float) -> np.ndarray:
        return smooth_field(rng, brain.shape, scale_mm / spacing)[brain]  # type: ignore[arg-type]

    # The ischaemic core: less diffusion, somewhat longer T2, a soft edge, patches of stronger and weaker change.
    depth = ndimage.gaussian_filter(mask.astype(np.float32), 0.9 / spacing)[brain]
    depth = np.clip(depth * 1.7, 0.0, 1.0) * np.clip(1.0 + 0.25 * field(9.0), 0.4, 1.5)
    severity = rng.beta(2.0, 2.0)
    adc_factor = 1.0 + depth * np.float32(np.clip(0.84 - 0.27 * severity + rng.normal(0, 0.04), 0.45, 0.8) - 1.0)
    t2_factor = 1.0 + depth * np.float32(0.35 * np.clip(0.45 + 0.6 * severity + rng.normal(0, 0.15), 0.0, 1.0))
    oedema = 1.0 + np.float32(rng.uniform(0.02, 0.1)) * depth
    scar = np.zeros(depth.shape, dtype=np.float32)
    for _ in range(rng.poisson(1.0)):  # T2 shine-through
        spot = _spot(rng, head, mask)
        t2_factor += np.float32(rng.uniform(0.3, 0.7)) * spot
        adc_factor += np.float32(rng.uniform(0.1, 0.4)) * spot
    for _ in range(rng.poisson(1.0)):  # old lesions
        spot = _spot(rng, head, mask)
        scar = np.maximum(scar, np.float32(rng.uniform(0.5, 0.95)) * spot)

    plain, weighted = np.zeros(brain.shape, dtype=np.float32), np.zeros(brain.shape, dtype=np.float32)
    t2_texture, adc_texture = field(10.0), field(10.0)
    for tissue, normal in TISSUE.items():
        density = np.float32(normal.density * rng.normal(1.0, 0.02))
        t2 = np.float32(normal.t2 * rng.normal(1.0, normal.t2_spread))
        adc = np.float32(normal.adc * rng.normal(1.0, normal.adc_spread))
        share = shares[tissue]
        if tissue in PARENCHYMA:
            t2 = t2 * t2_factor * (1.0 + normal.texture * t2_texture)
            adc = adc * adc_factor * (1.0 + normal.texture * adc_texture)
            density = density * oedema
            share = share * (1.0 - scar)
        elif tissue == CSF:
            share = share + scar * shares[list(PARENCHYMA)].sum(axis=0)
        plain[brain] += share * signal(density, t2, adc, sequence.echo_ms, 0.0)
        weighted[brain] += share * signal(density, t2, adc, sequence.echo_ms, sequence.b)
    return plain, weighted


def _spot(rng: np.random.Generator, head: _Head, mask: np.ndarray) -> np.ndarray:
    """A soft ellipsoid somewhere in white matter or cortex, away from the acute lesion: weights of the brain voxels."""
    inside = head.mni[:, head.brain]
    tissue = head.dseg[head.brain]
    candidates = np.flatnonzero(((tissue == WHITE) | (tissue == CORTEX)) & ~mask[head.brain])
    centre = inside[:, candidates[int(rng.integers(candidates.size))]]
    radius = rng.lognormal(np.log(5.0), 0.5) * np.exp(rng.normal(0, 0.3, 3))
    far = (((inside - centre[:, None]) / radius[:, None].astype(np.float32)) ** 2).sum(axis=0)
    weight = np.exp(-(far**2)).astype(np.float32)
    weight[mask[head.brain]] = 0.0
    return weight


def _draw_again(rng: np.random.Generator, mask: np.ndarray, parenchyma: np.ndarray, spacing: float) -> np.ndarray:
    """The lesion as a second reader might draw it: a shifted outline, small foci missed."""
    inward = (ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)) * spacing
    # Outlines lie about half a voxel off the last lesion voxel; readers differ overall and from place to place.
    outline = rng.normal(0.3, 1.2) + 2.2 * smooth_field(rng, mask.shape, 10.0 / spacing)  # type: ignore[arg-type]
    second = (inward > outline) & parenchyma
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel())[1:] * spacing**3 / 1000.0
    largest = int(np.argmax(sizes))
    for piece in range(count):
        missed = rng.random() < 0.4 * np.exp(-sizes[piece] / 0.7)
        if missed and piece != largest:
            second &= ~ndimage.binary_dilation(pieces == piece + 1, iterations=1)
    return second if second.any() else mask.copy()
