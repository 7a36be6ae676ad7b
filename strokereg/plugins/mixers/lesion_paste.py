"""`lesion-paste`: warps the relative signal of a real lesion into another real brain.

C. Federau et al.: Improved Segmentation and Detection Sensitivity of Diffusion-weighted Stroke Lesions with
Synthetically Enhanced Deep Learning (Radiology: Artificial Intelligence 2020, arXiv 2012.14771): the relative signal
increase of a lesion is warped into a normal brain and multiplied with the signal there. The signal is PD · exp(-TE/T2)
· exp(-b·ADC) times the gain of the coil, and a lesion changes ADC and T2. Its effect is therefore a factor, which keeps
the host's tissue, shading and scale. The factor of a donor voxel is its signal divided by the mean of the healthy
parenchyma around it (with Gaussian weights; far from any, the mean of the whole brain). Departures: hosts are training
cases, which keep their own lesions. The place is that of the donor, mapped by the extents of the two brains, mirrored
or not, and shifted a little. The lesion is limited to the host's healthy parenchyma, and its signal fades out over
about a voxel beyond its border.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field
from scipy import ndimage
from scipy.spatial.transform import Rotation

from strokereg.core.roles import Sample
from strokereg.core.simulate.fields import smooth_field
from strokereg.plugins.blocks.same_place import same_place
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem

_SMALLEST = 3  # fewest lesion voxels to copy into the host
_FAINT = 1e-3  # Gaussian weight below which the mean of the whole brain is used


class LesionPaste:
    """Host and donor → the host with the donor's lesion somewhere in its parenchyma."""

    class Options(Options):
        """Args:
        turn: standard deviation of the rotation about each axis, degrees.
        scale: standard deviation of the logarithm of the size along each axis.
        shift: standard deviation of the place along each axis, voxels.
        warp: standard deviation of the elastic displacement, voxels.
        lattice: spacing of the displacement lattice, voxels.
        around: standard deviation of the Gaussian weights around a voxel, voxels.
        edge: how far the signal fades out beyond the border of the lesion, voxels.
        """

        turn: float = Field(default=10.0, ge=0)
        scale: float = Field(default=0.1, ge=0, le=0.5)
        shift: float = Field(default=2.0, ge=0)
        warp: float = Field(default=0.7, ge=0)
        lattice: float = Field(default=6.0, ge=2)
        around: float = Field(default=4.0, gt=0)
        edge: float = Field(default=0.7, gt=0)

    def __init__(self, problem: Problem, options: Options):
        self.lesion, self.options = problem.lesion, options

    def mix(self, host: Sample, donor: Sample, rng: np.random.Generator) -> Sample | None:
        """The host with one more lesion, or None if less than half of it lies in healthy parenchyma."""
        with_lesion = donor.labels == self.lesion
        if not with_lesion.any():
            return None
        middle = np.argwhere(with_lesion).mean(axis=0)
        mirrored = rng.random() < 0.5
        place = same_place(middle, donor.labels, host.labels, mirrored) + rng.normal(0, self.options.shift, 3)
        points = self.points(host.labels.shape, place, middle, mirrored, rng)
        arrived = ndimage.map_coordinates(with_lesion.astype(np.float32), points, order=1) >= 0.5
        room = np.isin(host.labels, host.parenchyma)
        pasted = arrived & room
        if pasted.sum() < max(_SMALLEST, np.count_nonzero(arrived) / 2):
            return None
        beyond = ndimage.distance_transform_edt(~pasted)
        weight = np.where(room, np.exp(-0.5 * (beyond / self.options.edge) ** 2), 0.0)
        image, labels = np.array(host.image), np.array(host.labels)
        labels[pasted] = self.lesion
        reached = weight > 0.01
        for channel, factors in enumerate(self.factors(donor)):
            factor = ndimage.map_coordinates(factors, points[:, reached], order=1, mode="nearest")
            signal = (image[channel][reached] + 1.0) * (1.0 + weight[reached] * (factor - 1.0))
            image[channel][reached] = np.clip(signal - 1.0, -1.0, 1.0)
        return replace(host, image=image, labels=labels)

    def points(
        self,
        shape: tuple[int, int, int],
        place: np.ndarray,
        middle: np.ndarray,
        mirrored: bool,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """The position in the donor for each voxel of the host, float [3, Z, Y, X]."""
        o = self.options
        turn = Rotation.from_rotvec(rng.normal(0, o.turn, 3), degrees=True).as_matrix()
        matrix = np.diag([1.0, 1.0, -1.0 if mirrored else 1.0]) @ turn @ np.diag(np.exp(rng.normal(0, o.scale, 3)))
        z, y, x = shape
        points = (
            np.stack(np.meshgrid(np.arange(z), np.arange(y), np.arange(x), indexing="ij")) - place[:, None, None, None]
        )
        points = np.tensordot(matrix, points, axes=1) + middle[:, None, None, None]
        for axis in range(3):
            points[axis] += o.warp * smooth_field(rng, (z, y, x), o.lattice)
        if z == 1:  # a single slice: the lesion stays in its plane, which it would leave by the smallest movement
            points[0] = middle[0]
        return points

    def factors(self, donor: Sample) -> np.ndarray:
        """Signal relative to the healthy parenchyma around, float [C, Z, Y, X].

        Voxels outside the lesion have the factor of the nearest lesion voxel.
        """
        with_lesion = donor.labels == self.lesion
        # Voxels beside a lesion contain some of it (partial volume), so they do not count as healthy.
        healthy = np.isin(donor.labels, donor.parenchyma) & ~ndimage.binary_dilation(with_lesion, iterations=2)
        share = ndimage.gaussian_filter(healthy.astype(np.float32), self.options.around)
        nearest = ndimage.distance_transform_edt(~with_lesion, return_distances=False, return_indices=True)
        factors = []
        for signal in donor.image + 1.0:
            mean = float(signal[healthy].mean()) if healthy.any() else 1.0
            near = ndimage.gaussian_filter(signal * healthy, self.options.around)
            factor = signal / np.maximum((near + _FAINT * mean) / (share + _FAINT), _FAINT)
            factors.append(factor[tuple(nearest)])
        return np.stack(factors)
