"""A head on the grid of a scan: tissue shares, labels and approximate MNI coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from strokereg.core.simulate.anatomy import BONE, PARENCHYMA, SKIN, SOFT, VENTRICLE, Anatomy
from strokereg.core.simulate.fields import smooth_field
from strokereg.core.simulate.pose import Pose, tissue_shares

# Thickness in mm of skull and of scalp, where the label map shows the brain only.
_SKULL_MM, _SCALP_MM = 7.0, 6.0


@dataclass(frozen=True)
class Head:
    """A head on the scan's grid.

    Attributes:
        brain: bool [X, Y, Z].
        dseg: uint8 [X, Y, Z], `core.cohort.labels.TISSUES` without the lesion.
        shares: float32 [LESION, N], share of each tissue in the N brain voxels.
        mni: float32 [3, X, Y, Z], in mm.
        spacing: voxel edge in mm.
    """

    brain: np.ndarray
    dseg: np.ndarray
    shares: np.ndarray
    mni: np.ndarray
    spacing: float

    @classmethod
    def at(cls, anatomy: Anatomy, pose: Pose, spacing: float) -> Head:
        """The head of an anatomy in a pose."""
        brain, shares = tissue_shares(anatomy, pose)
        dseg = np.zeros(brain.shape, dtype=np.uint8)
        dseg[brain] = 1 + shares[1:].argmax(axis=0)
        return cls(brain, dseg, shares, anatomy.to_mni(pose.points), spacing)

    @cached_property
    def parenchyma(self) -> np.ndarray:
        """Grey and white matter, bool [X, Y, Z]."""
        return np.isin(self.dseg, PARENCHYMA)

    @cached_property
    def inside(self) -> np.ndarray:
        """MNI mm of the brain voxels, float32 [3, N]."""
        return self.mni[:, self.brain]

    def field(self, rng: np.random.Generator, scale_mm: float) -> np.ndarray:
        """A smooth random field with mean 0 and spread 1 in the brain voxels, [N]."""
        return smooth_field(rng, self.brain.shape, scale_mm / self.spacing)[self.brain]  # type: ignore[arg-type]

    def ball(self, centre: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
        """Weights of the brain voxels, float32 [N]: a soft ellipsoid around a point in MNI mm."""
        radii = np.broadcast_to(np.asarray(radius, dtype=np.float32), 3)
        reach = 2.2 * radii[:, None]
        apart = self.inside - np.asarray(centre, dtype=np.float32)[:, None]
        weight = np.zeros(apart.shape[1], dtype=np.float32)
        near = np.flatnonzero((np.abs(apart) < reach).all(axis=0))
        far = ((apart[:, near] / radii[:, None]) ** 2).sum(axis=0)
        weight[near] = np.exp(-(far**2))
        return weight

    def from_ventricles(self) -> np.ndarray:
        """Distance of the brain voxels from the ventricles in mm, [N]."""
        ventricle = self.dseg == VENTRICLE
        if not ventricle.any():
            return np.full(self.inside.shape[1], 1e3, dtype=np.float32)
        apart = ndimage.distance_transform_edt(~ventricle)[self.brain] * self.spacing
        return apart.astype(np.float32)

    def outer(self, anatomy: Anatomy, pose: Pose) -> np.ndarray:
        """What lies outside the brain, uint8 [X, Y, Z] as `Anatomy.head`; a plain shell where the map shows nothing."""
        if anatomy.head is None:
            apart = ndimage.distance_transform_edt(~self.brain) * self.spacing
            found = np.zeros(self.brain.shape, dtype=np.uint8)
            found[apart < _SKULL_MM + _SCALP_MM] = SKIN
            found[apart < _SKULL_MM + 0.4 * _SCALP_MM] = SOFT
            found[apart < _SKULL_MM] = BONE
        else:
            found = anatomy.head_at(pose.points.reshape(3, -1)).reshape(self.brain.shape)
        found[self.brain] = 0
        return found
