"""Pose of a head in the scanner: random affine, mirror and smooth warp, and the tissue shares that follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from strokereg.core.simulate.anatomy import BACKGROUND, LESION, Anatomy
from strokereg.core.simulate.fields import smooth_field

#: Grid (X, Y, Z) and voxel edge in mm of simulated scans, as in ISLES'22.
GRID, SPACING = (112, 112, 73), 2.0

# Coarse and fine deformation: lattice spacing and standard deviation, both in mm.
_WARP = ((45.0, 3.0), (22.0, 1.0))
# Mean and spread of an adult's brain with its fluid, ml; templates are larger than most heads.
_BRAIN_ML = (1450.0, 120.0)
_SUBVOXELS = np.array([(i, j, k) for i in (-0.25, 0.25) for j in (-0.25, 0.25) for k in (-0.25, 0.25)])


@dataclass(frozen=True)
class Pose:
    """Where each scan voxel lies in the anatomy.

    Attributes:
        points: float32 [3, X, Y, Z], mm along the anatomy's own axes.
        matrix: 3×3, a step of one scan voxel → mm in the anatomy (without the warp).
        affine: 4×4 of the scan, voxel → world mm: left-anterior-superior, slightly oblique, as ISLES'22.
    """

    points: np.ndarray
    matrix: np.ndarray
    affine: np.ndarray


def draw_pose(
    rng: np.random.Generator, anatomy: Anatomy, shape: tuple[int, int, int] = GRID, spacing: float = SPACING
) -> Pose:
    """Draw a pose: rotated by a few degrees, scaled to an adult's brain volume, mirrored or not, shifted and warped.

    The warp is a free-form deformation on B-splines (Rueckert et al. 1999, doi:10.1109/42.796284).

    Args:
        rng: source of all random numbers.
        anatomy: the head.
        shape: scan grid (X, Y, Z).
        spacing: isotropic voxel edge in mm.
    """
    turn = _rotation(rng.normal(0, (7.0, 3.0, 4.0)))
    size = np.clip((rng.normal(*_BRAIN_ML) / anatomy.volume_ml) ** (1 / 3), 0.88, 1.12)
    scale = size * rng.normal(1.0, 0.02, 3)
    shear = np.eye(3) + np.triu(rng.normal(0, 0.02, (3, 3)), 1)
    mirror = np.diag([rng.choice([-1.0, 1.0]), 1.0, 1.0])
    matrix = mirror @ turn @ shear @ np.diag(1.0 / scale) @ np.diag([-spacing, spacing, spacing])
    middle = (np.array(shape) - 1) / 2.0 + rng.normal(0, (2.0, 2.0, 4.0)) / spacing
    start = anatomy.centre - matrix @ middle
    steps = np.ogrid[: shape[0], : shape[1], : shape[2]]
    points = np.empty((3, *shape), dtype=np.float32)
    for axis in range(3):
        points[axis] = start[axis] + sum(matrix[axis, a] * steps[a] for a in range(3))
        for lattice, deviation in _WARP:
            points[axis] += np.float32(deviation) * smooth_field(rng, shape, lattice / spacing)
    affine = np.eye(4)
    oblique = _rotation(rng.normal((11.0, 0.0, 2.0), (5.0, 1.5, 2.5)))
    affine[:3, :3] = oblique @ np.diag([-spacing, spacing, spacing])
    affine[:3, 3] = rng.normal((0.0, -10.0, 15.0), 8.0) - affine[:3, :3] @ middle
    return Pose(points, matrix, affine)


def tissue_shares(anatomy: Anatomy, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Look up the anatomy at eight points per voxel, which gives partial volumes.

    Returns:
        brain: bool [X, Y, Z], one connected piece; more than half of each voxel is brain.
        shares: float32 [LESION, N], share of each tissue in the N brain voxels, including background.
    """
    nearest = anatomy.tissue_at(pose.points.reshape(3, -1)).reshape(pose.points.shape[1:])
    near = ndimage.binary_dilation(nearest > 0, iterations=2)
    points = pose.points[:, near]
    shares = np.zeros((LESION, points.shape[1]), dtype=np.float32)
    for offset in _SUBVOXELS:
        shift = (pose.matrix * offset).sum(axis=1).astype(np.float32)[:, None]
        labels = anatomy.tissue_at(points + shift)
        for tissue in range(LESION):
            shares[tissue] += labels == tissue
    shares /= len(_SUBVOXELS)
    inside = shares[BACKGROUND] < 0.5
    brain = np.zeros(near.shape, dtype=bool)
    brain[near] = inside
    brain = ndimage.binary_opening(brain)  # a skull strip leaves no thin threads
    pieces, count = ndimage.label(brain)
    if count > 1:
        brain = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return brain, shares[:, brain[near]]


def _rotation(degrees: np.ndarray) -> np.ndarray:
    """Rotation about R, then A, then S."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
