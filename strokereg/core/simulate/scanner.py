"""Effects of the scanner on an image: blur, coil shading, bright rims at air, noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from strokereg.core.simulate.fields import smooth_field

# Where EPI signal piles up near air and bone: MNI mm (both sides of x), size in mm, probability.
_RIMS = (
    ((46.0, -8.0, -36.0), 12.0, 0.85),  # temporal lobe above the petrous bone
    ((40.0, 14.0, -36.0), 9.0, 0.6),  # temporal pole
    ((16.0, 60.0, -10.0), 12.0, 0.8),  # frontal base above the sinuses
    ((24.0, 66.0, 6.0), 9.0, 0.4),  # frontal pole
    ((22.0, -98.0, -8.0), 12.0, 0.4),  # occipital pole beside the sinuses
    ((34.0, -80.0, -46.0), 11.0, 0.4),  # back of the cerebellum
)


def blur(rng: np.random.Generator, spacing: float) -> tuple[float, float, float]:
    """Draw the point spread as Gaussian sigmas in voxels: of EPI in plane, of the slice thickness across."""
    in_plane = rng.uniform(0.7, 1.1) / spacing
    thickness = rng.choice([2.0, 3.0, 4.0, 5.0], p=[0.4, 0.25, 0.2, 0.15])
    return in_plane, in_plane, max(in_plane, 0.29 * float(thickness) / spacing)


def shading(rng: np.random.Generator, brain: np.ndarray, spacing: float) -> np.ndarray:
    """Draw a receive-coil field [X, Y, Z] with mean 1 in the brain: smooth, brighter near the coil."""
    field = rng.uniform(0.08, 0.15) * smooth_field(rng, brain.shape, 90.0 / spacing)  # type: ignore[arg-type]
    distance = ndimage.distance_transform_edt(brain) * spacing
    field += rng.uniform(0.1, 0.35) * np.exp(-distance / 15.0).astype(np.float32)
    field = np.exp(field)
    return field / field[brain].mean()


def rims(rng: np.random.Generator, brain: np.ndarray, mni_points: np.ndarray, spacing: float) -> np.ndarray:
    """Draw the susceptibility artefacts as a factor [X, Y, Z]: bright rims at the brain's edge near air."""
    inside = mni_points[:, brain]
    depth = ndimage.distance_transform_edt(brain)[brain].astype(np.float32) * spacing
    gain = np.zeros(depth.shape, dtype=np.float32)
    ragged = smooth_field(rng, brain.shape, 9.0 / spacing)[brain]  # type: ignore[arg-type]
    for centre, size, chance in _RIMS:
        for side in (-1.0, 1.0):
            present = rng.random() < chance
            at = np.array(centre) * (side, 1, 1) + rng.normal(0, 4.0, 3)
            strength = rng.lognormal(np.log(1.3), 0.6)
            if present:
                apart = ((inside - at[:, None].astype(np.float32)) ** 2).sum(axis=0)
                gain += np.float32(strength) * np.exp(-apart / np.float32(2 * size**2))
    gain *= np.exp(-depth / 3.5) * np.exp(0.9 * ragged)
    factor = np.ones(brain.shape, dtype=np.float32)
    factor[brain] = 1.0 + np.minimum(gain, 4.0)
    return factor


def add_noise(rng: np.random.Generator, image: np.ndarray, sigma: float, brain: np.ndarray) -> np.ndarray:
    """Add Rician noise of `sigma` inside the brain, correlated between neighbours as after reconstruction."""
    real, imaginary = np.zeros_like(image), np.zeros_like(image)
    for part in (real, imaginary):
        part[...] = ndimage.gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), 0.5)
        part *= np.float32(sigma / max(part[brain].std(), 1e-6))
    return np.where(brain, np.hypot(image + real, imaginary), 0.0).astype(np.float32)
