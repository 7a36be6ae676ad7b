"""Resampling from a scan's own grid to the network grid, and back. No torch here: the runtime uses it too.

A `Frame` is one affine map, so an image is interpolated once in each direction. The network grid follows the scan's own
axes in canonical order (nearest to R, A, S), so an oblique scan is not rotated. Arrays on it are ordered [Z, Y, X],
which keeps axial slices contiguous.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import nibabel as nib
import numpy as np
from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from strokereg.core.scan import DEFAULT_SPACING
from strokereg.core.scan.contrasts import canonical_channels
from strokereg.core.scan.nifti import Volume
from strokereg.registry.errors import InputError
from strokereg.registry.options import Options

Interpolation = Literal["linear", "cubic"]
#: Contrasts in the order of the channel axis, written as BIDS has them.
Channels = Annotated[tuple[str, ...], AfterValidator(canonical_channels)]
Scaling = Literal["median", "zscore", "percentile"]


class Preparation(Options):
    """How a scan is prepared for a network. Every run and every exported model carries these settings.

    Args:
        channels: image contrasts in order; the first defines foreground and grid.
        spacing: voxel size in mm along R, A, S.
        size: smallest grid (X, Y, Z); a larger brain gets a larger grid.
        multiple: the grid's edges are multiples of these.
        ceiling: intensity, in brain medians, that becomes 1 (zero becomes -1), for median.
        interpolation: of images, linear or cubic (splines).
        scaling: how intensities are scaled by the brain's voxels: median, zscore or percentile.
        deviations: robust standard deviations from the brain's median that become -1 and 1, for zscore.
        percentiles: percentiles of the brain's intensities that become -1 and 1, for percentile.
    """

    channels: Channels = ("dwi",)
    spacing: tuple[float, float, float] = DEFAULT_SPACING
    size: tuple[int, int, int] = (16, 16, 16)
    multiple: tuple[int, int, int] = (16, 16, 1)
    ceiling: float = Field(default=4.0, gt=0)
    interpolation: Interpolation = "linear"
    scaling: Scaling = "median"
    deviations: tuple[float, float] = (-4.0, 8.0)
    percentiles: tuple[float, float] = (0.5, 99.5)

    @property
    def measured(self) -> str:
        """Name of the graph input that scales a volume: `median` or `limits` (see `core.scan.scaling.measure`)."""
        return "median" if self.scaling == "median" else "limits"

    @model_validator(mode="after")
    def _rising(self) -> Preparation:
        if not self.deviations[0] < self.deviations[1]:
            raise ValueError("deviations: the first must lie below the second")
        if not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise ValueError("percentiles: two of 0 to 100 are needed, the lower one first")
        return self

    @model_serializer(mode="wrap")
    def _lean(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out settings that have no effect, so that they do not change the keys of caches."""
        content = handler(self)
        unused = {"interpolation": self.interpolation == "linear", "scaling": self.scaling == "median"}
        unused |= {"deviations": self.scaling != "zscore", "percentiles": self.scaling != "percentile"}
        return {name: value for name, value in content.items() if not unused.get(name)}


def foreground(image: np.ndarray) -> np.ndarray:
    """Brain voxels of a skull-stripped image: those above 5 % of the 99th percentile of its positive voxels."""
    positive = image[image > 0]
    if positive.size == 0:
        return np.zeros(image.shape, dtype=bool)
    return image > 0.05 * np.percentile(positive, 99)


def brain_median(image: np.ndarray) -> float:
    """Median intensity of the foreground; 0 for an image without foreground."""
    inside = image[foreground(image)]
    return float(np.median(inside)) if inside.size else 0.0


@dataclass(frozen=True)
class Frame:
    """The map between a scan's grid and its network grid.

    Attributes:
        matrix: 4×4, network voxel (x, y, z, 1) → scan voxel (i, j, k, 1).
        shape: network grid (Z, Y, X).
        scan_shape: the scan's grid (I, J, K).
        shrink: network spacing over scan spacing along I, J, K; above 1 the scan is smoothed before sampling.
    """

    matrix: np.ndarray
    shape: tuple[int, int, int]
    scan_shape: tuple[int, int, int]
    shrink: tuple[float, float, float]

    def image(self, scan: np.ndarray, interpolation: Interpolation = "linear") -> np.ndarray:
        """Scan [I, J, K] → network grid [Z, Y, X], smoothed first if the grid is coarser.

        Cubic splines overshoot at edges: values are clipped to the scan's range, and empty background stays empty.
        """
        sigma = [max(0.0, (ratio - 1.0) / 2.0) for ratio in self.shrink]
        source = np.asarray(scan, dtype=np.float32)
        if any(sigma):
            from scipy import ndimage

            source = ndimage.gaussian_filter(source, sigma)
        linear = self._sample(source, 1)
        if interpolation == "linear":
            return linear
        return np.where(linear == 0, linear, np.clip(self._sample(source, 3), source.min(), source.max()))

    def labels(self, scan: np.ndarray, count: int) -> np.ndarray:
        """Label map [I, J, K] → uint8 [Z, Y, X]: the label with the largest share of each voxel wins."""
        best = np.full(self.shape, -1.0, dtype=np.float32)
        winner = np.zeros(self.shape, dtype=np.uint8)
        for label in range(count):
            member = scan == label
            if member.any():
                # Outside the scan, the share of the background is one.
                share = 1.0 - self.image(~member) if label == 0 else self.image(member)
                closer = share > best
                best[closer], winner[closer] = share[closer], label
        return winner

    def back(self, prediction: np.ndarray) -> np.ndarray:
        """Network grid [Z, Y, X] → scan grid [I, J, K], linear; zero outside the network grid."""
        from scipy import ndimage  # in functions, because it is half of the runtime's start-up

        inverse = np.linalg.inv(self.matrix)
        return ndimage.affine_transform(
            np.asarray(prediction, dtype=np.float32).transpose(2, 1, 0),
            inverse[:3, :3],
            inverse[:3, 3],
            output_shape=self.scan_shape,
            order=1,
        )

    def _sample(self, source: np.ndarray, order: int) -> np.ndarray:
        from scipy import ndimage

        xyz = ndimage.affine_transform(
            source, self.matrix[:3, :3], self.matrix[:3, 3], output_shape=self.shape[::-1], order=order
        )
        return np.ascontiguousarray(xyz.transpose(2, 1, 0))


def frame_of(scan: Volume, preparation: Preparation) -> Frame:
    """Find the network grid of a scan: canonical axes, target spacing, centred on the brain.

    Raises:
        InputError: the image holds no foreground.
    """
    inside = foreground(scan.data)
    if not inside.any():
        raise InputError(f"{scan.path}: holds no positive voxels; give an image with the brain in it")
    # axes[c] is the scan axis that runs along canonical axis c, sign[c] its direction.
    orientation = nib.orientations.io_orientation(scan.affine)
    axes = [int(np.flatnonzero(orientation[:, 0] == c)[0]) for c in range(3)]
    sign = [float(orientation[a, 1]) for a in axes]
    low, high = np.array([(np.flatnonzero(inside.any(_others(a)))[[0, -1]]) for a in range(3)]).T
    # Spacings come from float32 headers; rounding keeps 2.0000001 mm from becoming another grid.
    step = [round(preparation.spacing[c] / scan.spacing[axes[c]], 5) for c in range(3)]
    size = []
    for c in range(3):
        needed = max(preparation.size[c], (high[axes[c]] - low[axes[c]] + 1) / step[c])
        size.append(int(np.ceil(needed / preparation.multiple[c])) * preparation.multiple[c])
    matrix = np.eye(4)
    matrix[:3, :3] = 0.0
    for c in range(3):
        a = axes[c]
        matrix[a, c] = sign[c] * step[c]
        # Starting on a whole voxel makes resampling in both directions exact if the spacings agree.
        matrix[a, 3] = np.round((low[a] + high[a]) / 2.0 - sign[c] * step[c] * (size[c] - 1) / 2.0)
    shrink = [0.0, 0.0, 0.0]
    for c in range(3):
        shrink[axes[c]] = step[c]
    return Frame(matrix, tuple(size[::-1]), scan.data.shape, tuple(shrink))  # type: ignore[arg-type]


def _others(axis: int) -> tuple[int, ...]:
    return tuple(a for a in range(3) if a != axis)
