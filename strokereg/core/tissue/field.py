"""The hidden Markov random field of Zhang, Brady and Smith 2001 (doi:10.1109/42.906424) on one scan.

Each tissue has a Gaussian intensity, a voxel prefers the tissues of its neighbours, and coil shading is estimated
along the way. Two things differ from the paper: there are two intensities (T2-weighted signal and ADC), and each voxel
has a prior by its location, because a DWI alone cannot separate a ventricle from a sulcus or a thalamus from cortex.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from strokereg.core.tissue.scan import BrainScan

_NEIGHBOURS = 0.5  # weight of each of the six nearest voxels
_SHADING_MM = 15.0  # what is smoother than this is coil shading
_TRUST = 0.15  # weight of the atlas in choosing between `_KINDS`; within a kind, the atlas has full weight
_SLOWEST_FLUID, _UNLIKELY = 1.1, 6.0  # 10⁻³ mm²/s; log of how unlikely fluid is below it
_MOSTLY_FLUID = 1.5  # 10⁻³ mm²/s: below it a voxel holds more tissue than fluid

# Rows, in the order of `core.tissue.classes.TISSUES`: csf, ventricle, cortex, deep grey, white.
_FLUID, _SOLID, _DEEP = slice(0, 2), slice(2, None), 3
_KINDS = (_FLUID, slice(2, 3), slice(3, None))  # fluid, cortex, the inner brain


class Field:
    """Expectation and maximisation over the N brain voxels of one scan.

    Attributes:
        belief: float32 [5, N], probability of each tissue in each voxel; 0 in the lesion, which is left out.
    """

    def __init__(self, scan: BrainScan, first: np.ndarray):
        """Start from a first belief, float32 [5, N]."""
        self.scan = scan
        self.used = scan.fitted[scan.brain].astype(np.float32)
        self.belief = first * self.used
        self.raw = scan.channels[:, scan.brain]
        self.values = self.raw.copy()
        self.weights = _NEIGHBOURS * scan.spacing.min() / scan.spacing
        self.broad = np.cov(self.raw[:, self.used > 0]).reshape(len(self.raw), len(self.raw))

    def run(self, shares: np.ndarray, rounds: int) -> None:
        """Run some rounds with the atlas's shares [5, N] as the prior."""
        prior = np.log(shares)
        for kind in _KINDS:
            prior[kind] -= (1.0 - _TRUST) * np.log(shares[kind].sum(axis=0))
        for _ in range(rounds):
            self._fit(shares)
            self._shade()
            self.belief = _normal(self.density + prior + self._neighbours()) * self.used

    def final_belief(self) -> np.ndarray:
        """The belief [5, N], without fluid where diffusion is too slow for it; the largest value gives the tissue."""
        belief = self.belief.copy()
        if len(self.values) == 2:
            # Not earlier: in the rounds it would turn dark voxels into cortex and so change what counts as fluid.
            belief[_FLUID, self.values[1] < _MOSTLY_FLUID] = -1.0
        return belief

    def likelihood(self) -> np.ndarray:
        """Likelihood of each tissue given the intensities, [5, N], up to a factor per voxel; 1 in lesions."""
        return np.where(self.used > 0, _normal(self.density), 1.0)

    def _fit(self, shares: np.ndarray) -> None:
        """Mean and covariance of each tissue, and the log density of each voxel under it."""
        weights = self.belief.copy()
        # Deep nuclei are small and look like white matter or its rim to the ventricles, so they follow the atlas.
        weights[_DEEP] = shares[_DEEP] ** 2 * self.belief[_SOLID].sum(axis=0)
        shapes, apart = [], []
        self.means = []
        for weight in weights:
            total = float(weight.sum()) + 1e-9
            mean = self.values @ weight / total
            apart.append(self.values - mean[:, None])
            # A broad shape with the weight of a hundred voxels keeps a rare tissue from collapsing.
            shapes.append(((apart[-1] * weight) @ apart[-1].T + 5.0 * self.broad) / (total + 100.0))
            self.means.append(mean)
        shapes[_DEEP] = shapes[-1]
        self.inverses = [np.linalg.inv(shape).astype(np.float32) for shape in shapes]
        self.density = np.stack(
            [
                0.5 * (np.log(np.linalg.det(inverse)) - ((inverse @ far) * far).sum(axis=0))
                for inverse, far in zip(self.inverses, apart, strict=True)
            ]
        ).astype(np.float32)
        if len(self.values) == 2:  # dark voxels of slow diffusion hold iron or lie near air; they are not fluid
            self.density[_FLUID] -= _UNLIKELY * (self.values[1] < _SLOWEST_FLUID)

    def _shade(self) -> None:
        """Estimate coil shading: the smoothed residual of the log signal, without fluid, whose own signal varies."""
        certain = np.array([inverse[0, 0] for inverse in self.inverses], np.float32)[_SOLID, None] * self.belief[_SOLID]
        means = np.array([mean[0] for mean in self.means], np.float32)[_SOLID, None]
        # A coarse grid is enough for such a smooth field.
        stride = np.maximum(1, np.floor(_SHADING_MM / 4.0 / self.scan.spacing)).astype(int)
        places = np.argwhere(self.scan.brain).T / stride[:, None]
        smooth = []
        for values in ((certain * (self.raw[0] - means)).sum(axis=0), certain.sum(axis=0)):
            coarse = self._volume(values)[tuple(slice(None, None, step) for step in stride)]
            coarse = ndimage.gaussian_filter(coarse, _SHADING_MM / self.scan.spacing / stride, truncate=3.0)
            smooth.append(ndimage.map_coordinates(coarse, places, order=1, mode="nearest"))
        shading = smooth[0] / np.maximum(smooth[1], 1e-6 * smooth[1].max())
        self.values[0] = self.raw[0] - (shading - shading.mean())

    def _neighbours(self) -> np.ndarray:
        """Weighted sum of the belief of the six nearest voxels, for each tissue, [5, N]."""
        support = []
        for belief in self.belief:
            volume = self._volume(belief)
            total = np.zeros_like(volume)
            for axis, weight in enumerate(self.weights):
                upper, lower = (_along(axis, part) for part in (slice(1, None), slice(None, -1)))
                total[lower] += np.float32(weight) * volume[upper]
                total[upper] += np.float32(weight) * volume[lower]
            support.append(total[self.scan.brain])
        return np.stack(support)

    def _volume(self, values: np.ndarray) -> np.ndarray:
        """Values [N] of the brain voxels → float32 [X, Y, Z], with 0 outside the brain."""
        volume = np.zeros(self.scan.brain.shape, dtype=np.float32)
        volume[self.scan.brain] = values
        return volume


def _normal(energy: np.ndarray) -> np.ndarray:
    """Logarithms [5, N] → shares that sum to one."""
    shares = np.exp(energy - energy.max(axis=0))
    return shares / shares.sum(axis=0)


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return tuple(part if a == axis else slice(None) for a in range(3))
