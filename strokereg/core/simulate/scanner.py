"""Effects of the scanner on an image: distortion, blur, slices, coil shading, bright rims at air, noise, saturation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from strokereg.core.simulate.fields import smooth_field
from strokereg.core.simulate.physics import Sequence

# Where EPI signal piles up near air and bone: MNI mm (both sides of x), size in mm, probability.
_RIMS = (
    ((46.0, -8.0, -36.0), 12.0, 0.85),  # temporal lobe above the petrous bone
    ((40.0, 14.0, -36.0), 9.0, 0.6),  # temporal pole
    ((16.0, 60.0, -10.0), 12.0, 0.8),  # frontal base above the sinuses
    ((24.0, 66.0, 6.0), 9.0, 0.4),  # frontal pole
    ((22.0, -98.0, -8.0), 12.0, 0.4),  # occipital pole beside the sinuses
    ((34.0, -80.0, -46.0), 11.0, 0.4),  # back of the cerebellum
)


@dataclass(frozen=True)
class Slices:
    """Slices of a sequence along Z, interpolated to the scan's voxels.

    Attributes:
        places: middle of each slice, in voxels of the scan; None for slices as thick as the voxels.
        sigma: of the slice profile, in voxels.
        count: voxels of the scan along Z.
    """

    places: np.ndarray | None
    sigma: float
    count: int

    @classmethod
    def of(cls, rng: np.random.Generator, sequence: Sequence, spacing: float, count: int) -> Slices:
        """Slices of a sequence that cover a scan."""
        thick = max(sequence.thickness, spacing)
        step = (thick + sequence.gap) / spacing
        sigma = 0.29 * thick / spacing
        if step < 1.2:
            return cls(None, sigma, count)
        return cls(np.arange(-rng.random() * step, count - 1 + step, step), sigma, count)

    def cut(self, image: np.ndarray) -> np.ndarray:
        """Image [X, Y, Z] → its slices [X, Y, K]."""
        smooth = ndimage.gaussian_filter1d(image, self.sigma, axis=2, mode="nearest")
        return smooth if self.places is None else _interpolated(smooth, np.clip(self.places, 0, self.count - 1))

    def stack(self, slices: np.ndarray) -> np.ndarray:
        """Slices [X, Y, K] → the scan's voxels [X, Y, Z], linear between slices."""
        if self.places is None:
            return slices
        return _interpolated(slices, np.interp(np.arange(self.count), self.places, np.arange(self.places.size)))


def _interpolated(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    below = np.minimum(at.astype(np.intp), image.shape[2] - 2)
    part = (at - below).astype(np.float32)
    return image[:, :, below] * (1.0 - part) + image[:, :, below + 1] * part


def blur(rng: np.random.Generator, spacing: float) -> float:
    """Draw the point spread of EPI in plane, as a Gaussian sigma in voxels."""
    return float(rng.uniform(0.6, 1.2) / spacing)


def distort(rng: np.random.Generator, mni: np.ndarray, tesla: float, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw the distortion of EPI along Y near air, which squeezes or stretches the image there.

    Args:
        mni: float32 [3, X, Y, Z], mm.
        tesla: field strength; the shift is proportional to it.
        spacing: voxel edge in mm.

    Returns:
        shift: float32 [X, Y, Z] in mm.
        gain: float32 [X, Y, Z], factor of the signal, above 1 where it piles up.
    """
    shift = np.zeros(mni.shape[1:], dtype=np.float32)
    away = rng.choice([-1.0, 1.0])  # direction of the phase encoding
    for centre, size, chance in _RIMS:
        if rng.random() >= chance:
            continue
        at = np.array(centre) + rng.normal(0, 4.0, 3)
        far = (np.abs(mni[0]) - np.float32(at[0])) ** 2
        far += (mni[1] - np.float32(at[1])) ** 2
        far += (mni[2] - np.float32(at[2])) ** 2
        shift += np.float32(away * rng.uniform(0.0, 2.2) * tesla) * np.exp(far / np.float32(-2 * (1.2 * size) ** 2))
    gain = 1.0 + np.gradient(shift, axis=1) / np.float32(spacing)
    return shift, np.clip(gain, 0.3, 2.5)


def shading(rng: np.random.Generator, brain: np.ndarray, spacing: float) -> np.ndarray:
    """Draw a receive-coil field [X, Y, Z] with mean 1 in the brain: smooth, brighter near the coil."""
    field = rng.uniform(0.04, 0.15) * smooth_field(rng, brain.shape, 90.0 / spacing)  # type: ignore[arg-type]
    distance = ndimage.distance_transform_edt(brain) * spacing
    field += rng.uniform(0.05, 0.35) * np.exp(-distance / 15.0).astype(np.float32)
    for axis, most in enumerate((0.1, 0.25, 0.25)):  # as change from the middle to the end
        ramp = np.linspace(-1.0, 1.0, brain.shape[axis], dtype=np.float32)
        field += np.float32(rng.uniform(-most, most)) * ramp.reshape([-1 if a == axis else 1 for a in range(3)])
    field = np.exp(field)
    return field / field[brain].mean()


def rims(
    rng: np.random.Generator, brain: np.ndarray, mni_points: np.ndarray, spacing: float, tesla: float = 3.0
) -> np.ndarray:
    """Draw the susceptibility artefacts as a factor [X, Y, Z]: bright rims at the brain's edge near air, and voids."""
    inside = mni_points[:, brain]
    depth = ndimage.distance_transform_edt(brain)[brain].astype(np.float32) * spacing
    gain, loss = np.zeros(depth.shape, dtype=np.float32), np.zeros(depth.shape, dtype=np.float32)
    ragged = smooth_field(rng, brain.shape, 9.0 / spacing)[brain]  # type: ignore[arg-type]
    for centre, size, chance in _RIMS:
        for side in (-1.0, 1.0):
            present, void = rng.random() < chance, rng.random() < 0.3 * chance
            at = np.array(centre) * (side, 1, 1) + rng.normal(0, 4.0, 3)
            strength = rng.lognormal(np.log(1.3), 0.6) * tesla / 3.0
            if present or void:
                apart = ((inside - at[:, None].astype(np.float32)) ** 2).sum(axis=0)
                weight = np.exp(-apart / np.float32(2 * size**2))
                if void:
                    loss += np.float32(0.7 * strength) * weight
                else:
                    gain += np.float32(strength) * weight
    gain *= np.exp(-depth / np.float32(rng.uniform(2.5, 5.0))) * np.exp(0.9 * ragged)
    factor = np.ones(brain.shape, dtype=np.float32)
    factor[brain] = (1.0 + np.minimum(gain, 4.0)) * np.exp(-np.minimum(loss, 2.0))
    return factor


def draw_noise(rng: np.random.Generator, tesla: float) -> float:
    """Draw the noise of a b-weighted image as a share of the brain's median."""
    return float((1.0 if tesla > 2 else 1.3) / np.exp(rng.uniform(np.log(10.0), np.log(35.0))))


def add_noise(rng: np.random.Generator, image: np.ndarray, sigma: float) -> np.ndarray:
    """Add Rician noise of `sigma`, correlated between neighbours in plane as after reconstruction."""
    parts = []
    for _ in range(2):
        part = ndimage.gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), (0.5, 0.5, 0.0))
        parts.append(part * np.float32(sigma / max(float(part.std()), 1e-6)))
    return np.hypot(image + parts[0], parts[1])


def saturate(rng: np.random.Generator, image: np.ndarray, level: float) -> np.ndarray:
    """In a few scans, cut off the brightest voxels, as where a scanner's largest number is exceeded.

    Args:
        level: median of the brain.
    """
    return np.minimum(image, np.float32(level * rng.uniform(2.0, 4.0))) if rng.random() < 0.05 else image
