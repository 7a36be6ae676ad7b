"""One simulated subject: anatomy, lesion, sequence and scanner combined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.simulate.anatomy import CSF, MARROW, PARENCHYMA, SKIN, SOFT, VENTRICLE, Anatomy
from strokereg.core.simulate.fields import smooth_field
from strokereg.core.simulate.findings import draw_findings
from strokereg.core.simulate.head import Head
from strokereg.core.simulate.ischaemia import Ischaemia, draw_ischaemia
from strokereg.core.simulate.lesions import MniLesion, grow_lesion, place_lesion
from strokereg.core.simulate.physics import (
    FAT,
    OUTER,
    T2_AT_LOW_FIELD,
    TISSUE,
    Sequence,
    Value,
    diffusion_map,
    draw_sequence,
    signal,
)
from strokereg.core.simulate.pose import GRID, SPACING, draw_pose
from strokereg.core.simulate.scanner import (
    Slices,
    add_noise,
    blur,
    distort,
    draw_noise,
    rims,
    saturate,
    shading,
)


@dataclass(frozen=True)
class Subject:
    """A simulated case, all arrays [X, Y, Z] on one grid.

    Attributes:
        dwi: int16, scanner units, exactly 0 outside the brain (with a skull: around the head, or noise there).
        adc: float32, 10⁻³ mm²/s, exactly 0 outside the brain (with a skull: without signal, or noise there).
        dseg: uint8, `core.cohort.labels.TISSUES`, with the lesion.
        lesion: bool, the true lesion mask.
        second_reader: bool, the lesion as another reader might have drawn it.
        affine: 4×4, voxel → world mm.
        sequence: echo time, b-value, field strength and slices.
        ischaemia: age of the lesion, and its change of the tissue.
    """

    dwi: np.ndarray
    adc: np.ndarray
    dseg: np.ndarray
    lesion: np.ndarray
    second_reader: np.ndarray
    affine: np.ndarray
    sequence: Sequence
    ischaemia: Ischaemia

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
    skull: bool = False,
    sequence: Sequence | None = None,
) -> Subject:
    """Simulate one subject.

    Args:
        rng: source of all random numbers, drawn in a fixed order.
        anatomy: the head.
        lesion: a mask from MNI space, or the volume in ml of one to grow.
        shape: grid (X, Y, Z).
        spacing: isotropic voxel edge in mm.
        skull: the images show the whole head, not the brain only.
        sequence: of one scanner; None draws one as hospitals use them.
    """
    sequence = sequence or draw_sequence(rng)
    pose = draw_pose(rng, anatomy, shape, spacing)
    shift, squeezed = distort(rng, anatomy.to_mni(pose.points), sequence.tesla, spacing)
    pose.points[1] += shift
    head = Head.at(anatomy, pose, spacing)
    if isinstance(lesion, MniLesion):
        mask = place_lesion(rng, lesion, head.mni, head.parenchyma)
    else:
        mask = grow_lesion(rng, lesion, head.mni, head.parenchyma, spacing**3 / 1000.0)
    ischaemia = draw_ischaemia(rng, sequence)
    plain, weighted = _signals(rng, head, mask, sequence, ischaemia)
    outer = head.outer(anatomy, pose) if skull else None
    if outer is not None:
        _add_outer(rng, outer, sequence, plain, weighted, spacing)

    brain, spread = head.brain, blur(rng, spacing)
    gain = squeezed * shading(rng, brain, spacing) * rims(rng, brain, head.mni, spacing, sequence.tesla)
    plain, weighted = (ndimage.gaussian_filter(image, (spread, spread, 0.0)) * gain for image in (plain, weighted))
    level = float(np.median(weighted[brain]))
    noise = level * draw_noise(rng, sequence.tesla)
    slices = Slices.of(rng, sequence, spacing, shape[2])
    plain, weighted = (add_noise(rng, slices.cut(image), noise) for image in (plain, weighted))
    adc = slices.stack(np.maximum(diffusion_map(plain, weighted, sequence.b), 0.001).astype(np.float32))
    plain, weighted = slices.stack(plain), saturate(rng, slices.stack(weighted), level)
    scale = rng.lognormal(np.log(300.0), 0.35) / level
    dwi = np.clip(np.rint(weighted * scale), 1, 32767)
    seen = brain if outer is None else _seen(rng, brain | (outer > 0), plain, 3.0 * noise)
    adc[~seen] = 0.0
    if outer is None or rng.random() < 0.5:  # scanners often empty the air
        dwi[~seen] = 0.0
    second = _draw_again(rng, mask, head.parenchyma, spacing)
    dseg = head.dseg.copy()
    dseg[mask] = TISSUES.lesion
    return Subject(dwi.astype(np.int16), np.round(adc, 3), dseg, mask, second, pose.affine, sequence, ischaemia)


def _signals(
    rng: np.random.Generator, head: Head, mask: np.ndarray, sequence: Sequence, ischaemia: Ischaemia
) -> tuple[np.ndarray, np.ndarray]:
    """Images without and with diffusion weighting, [X, Y, Z] each, before any effect of the scanner."""
    brain, shares = head.brain, head.shares
    # The ischaemic core: a soft edge, patches of stronger and weaker change.
    depth = ndimage.gaussian_filter(mask.astype(np.float32), 0.9 / head.spacing)[brain]
    patches = np.float32(rng.uniform(0.15, 0.5)) * (head.field(rng, 9.0) + 0.5 * head.field(rng, 5.0))
    depth = np.clip(depth * 1.7, 0.0, 1.0) * np.clip(1.0 + patches, 0.25, 1.8)
    found = draw_findings(rng, head, mask)
    adc_factor = found.adc * (1.0 + depth * np.float32(ischaemia.adc - 1.0))
    t2_factor = found.t2 * (1.0 + depth * np.float32(ischaemia.t2 - 1.0))
    oedema = 1.0 + np.float32(ischaemia.water - 1.0) * depth

    plain, weighted = np.zeros(brain.shape, dtype=np.float32), np.zeros(brain.shape, dtype=np.float32)
    t2_texture, adc_texture = (head.field(rng, 10.0) + 0.7 * head.field(rng, 40.0) for _ in range(2))
    longer = np.float32(T2_AT_LOW_FIELD if sequence.tesla < 2 else 1.0)
    faster = np.float32(rng.normal(1.0, 0.04))  # diffusion varies with temperature, age and calibration

    def add(share: np.ndarray, density: Value, t2: Value, adc: Value) -> None:
        plain[brain] += share * signal(density, t2, adc, sequence.echo_ms, 0.0)
        weighted[brain] += share * signal(density, t2, adc, sequence.echo_ms, sequence.b)

    for tissue, normal in TISSUE.items():
        density = np.float32(normal.density * rng.normal(1.0, 0.03))
        t2 = np.float32(normal.t2 * rng.normal(1.0, normal.t2_spread)) * longer
        adc = np.float32(normal.adc * rng.normal(1.0, normal.adc_spread)) * faster
        share = shares[tissue]
        if tissue in PARENCHYMA:
            t2 = t2 * t2_factor * (1.0 + normal.texture * t2_texture)
            adc = adc * adc_factor * (1.0 + normal.texture * adc_texture)
            density = density * oedema
            share = share * (1.0 - found.fluid)
        elif tissue == CSF:
            share = share + found.fluid * shares[list(PARENCHYMA)].sum(axis=0)
        elif tissue == VENTRICLE:
            plexus, share = share * found.plexus, share * (1.0 - found.plexus)
            add(plexus, np.float32(0.8), np.float32(found.plexus_t2), np.float32(found.plexus_adc))
        add(share, density, t2, adc)
    return plain, weighted


def _add_outer(
    rng: np.random.Generator,
    outer: np.ndarray,
    sequence: Sequence,
    plain: np.ndarray,
    weighted: np.ndarray,
    spacing: float,
) -> None:
    """Add what lies outside the brain to both images; fat is suppressed more or less, and shifted along Y."""
    places = np.flatnonzero(outer)
    tissue = outer.ravel()[places]
    texture = np.exp(smooth_field(rng, outer.shape, 8.0 / spacing).ravel()[places])  # type: ignore[arg-type]
    t2, adc, density = (np.zeros(places.size, dtype=np.float32) for _ in range(3))
    for kind, normal in OUTER.items():
        here = tissue == kind
        t2[here] = normal.t2 * rng.lognormal(0, normal.t2_spread)
        adc[here] = normal.adc * rng.lognormal(0, normal.adc_spread)
        density[here] = normal.density * texture[here] ** normal.texture
    left = rng.uniform(0.0, 0.08) if rng.random() < 0.85 else rng.uniform(0.08, 0.5)
    fat = np.zeros(outer.shape, dtype=np.float32)
    bears = np.isin(tissue, (SOFT, SKIN, MARROW))
    fat.ravel()[places[bears]] = left * np.minimum(texture[bears], 2.0)
    fat = np.roll(fat, int(rng.choice([-1, 1]) * rng.uniform(2.0, 5.0) * sequence.tesla / spacing), axis=1)
    for image, b in ((plain, 0.0), (weighted, sequence.b)):
        image.ravel()[places] += signal(density, t2, adc, sequence.echo_ms, b)
        image += fat * np.float32(signal(FAT.density, FAT.t2, FAT.adc, sequence.echo_ms, b))


def _seen(rng: np.random.Generator, head: np.ndarray, plain: np.ndarray, level: float) -> np.ndarray:
    """Where a scanner writes numbers: everywhere, or where the image without diffusion weighting has a signal."""
    if rng.random() < 0.3:
        return np.ones(head.shape, dtype=bool)
    return ndimage.binary_dilation(head, iterations=2) & (plain > level)


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
