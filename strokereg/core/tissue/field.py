"""The hidden Markov random field of Zhang, Brady and Smith 2001 (doi:10.1109/42.906424) on one scan.

Each tissue has a Gaussian intensity, a voxel's neighbours speak for their own tissue, and coil shading is estimated on
the way. Here the intensities are two (T2-weighted signal and ADC), and each voxel has a prior by its place as well,
since a DWI alone cannot tell a ventricle from a sulcus or a thalamus from cortex.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from strokereg.core.tissue.scan import BrainScan

_NEIGHBOURS = 0.5  # weight of each of the six nearest voxels
_SHADING_MM = 15.0  # what is smoother than this is coil shading
_TRUST = 0.15  # in the atlas as to which of `_KINDS` a voxel is; within one, the atlas has its full say
_SLOWEST_FLUID, _UNLIKELY = 1.1, 6.0  # 10⁻³ mm²/s; log of how unlikely fluid is below it
_MOSTLY_FLUID = 1.5  # 10⁻³ mm²/s: below it a voxel holds more tissue than fluid

# Rows, in the order of `core.tissue.classes.TISSUES`: csf, ventricle, cortex, deep grey, white.
_FLUID, _SOLID, _DEEP = slice(0, 2), slice(2, None), 3
_KINDS = (_FLUID, slice(2, 3), slice(3, None))  # fluid, cortex, the inner brain


class Field:
    """Expectation and maximisation over the N brain voxels of one scan.

    Attributes:
        belief: float32 [5, N], how much each voxel is of each tissue; 0 in the lesion, which takes no part.
    """

    def __init__(self, scan: BrainScan, first: np.ndarray):
        """Begin with a first belief, float32 [5, N]."""
        self.scan = scan
        self.used = scan.fitted[scan.brain].astype(np.float32)
        self.belief = first * self.used
        self.raw = scan.channels[:, scan.brain]
        self.values = self.raw.copy()
        self.weights = _NEIGHBOURS * scan.spacing.min() / scan.spacing
        self.broad = np.cov(self.raw[:, self.used > 0]).reshape(len(self.raw), len(self.raw))

    def run(self, shares: np.ndarray, rounds: int) -> None:
        """Some rounds with the atlas's shares [5, N] as the prior."""
        prior = np.log(shares)
        for kind in _KINDS:
            prior[kind] -= (1.0 - _TRUST) * np.log(shares[kind].sum(axis=0))
        for _ in range(rounds):
            self._fit(shares)
            self._shade()
            self.belief = _normal(self.density + prior + self._neighbours()) * self.used

    def decided(self) -> np.ndarray:
        """The belief, but no fluid at all where diffusion is too slow for it; [5, N], for the largest to win."""
        belief = self.belief.copy()
        if len(self.values) == 2:
            # Only now: earlier it would press the dark into cortex, and widen what counts as fluid at its expense.
            belief[_FLUID, self.values[1] < _MOSTLY_FLUID] = -1.0
        return belief

    def likelihood(self) -> np.ndarray:
        """Of each tissue given each voxel's intensities, [5, N], up to a factor a voxel; all alike in lesions."""
        return np.where(self.used > 0, _normal(self.density), 1.0)

    def _fit(self, shares: np.ndarray) -> None:
        """Mean and covariance of each tissue, and the log density of each voxel under it."""
        weights = self.belief.copy()
        # Deep nuclei are few and look like white matter or like its rim to the ventricles: held to their place.
        weights[_DEEP] = shares[_DEEP] ** 2 * self.belief[_SOLID].sum(axis=0)
        shapes, apart = [], []
        self.means = []
        for weight in weights:
            total = float(weight.sum()) + 1e-9
            mean = self.values @ weight / total
            apart.append(self.values - mean[:, None])
            # A hundred voxels' worth of a broad shape keeps a rare tissue from collapsing.
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
        if len(self.values) == 2:  # dark as it may be, what diffuses slowly is no fluid but iron, or air nearby
            self.density[_FLUID] -= _UNLIKELY * (self.values[1] < _SLOWEST_FLUID)

    def _shade(self) -> None:
        """Coil shading: what is left of the log signal, smoothed; fluid is left out, its signal varies of itself."""
        certain = np.array([inverse[0, 0] for inverse in self.inverses], np.float32)[_SOLID, None] * self.belief[_SOLID]
        means = np.array([mean[0] for mean in self.means], np.float32)[_SOLID, None]
        # On every few voxels only: what is so smooth needs no more.
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
        """For each tissue, how much the six nearest voxels are of it, weighted, [5, N]."""
        heard = []
        for belief in self.belief:
            volume = self._volume(belief)
            total = np.zeros_like(volume)
            for axis, weight in enumerate(self.weights):
                ahead, behind = (_along(axis, part) for part in (slice(1, None), slice(None, -1)))
                total[behind] += np.float32(weight) * volume[ahead]
                total[ahead] += np.float32(weight) * volume[behind]
            heard.append(total[self.scan.brain])
        return np.stack(heard)

    def _volume(self, values: np.ndarray) -> np.ndarray:
        """Values [N] of the brain voxels in their places, float32 [X, Y, Z], with 0 around them."""
        volume = np.zeros(self.scan.brain.shape, dtype=np.float32)
        volume[self.scan.brain] = values
        return volume


def _normal(energy: np.ndarray) -> np.ndarray:
    """Logarithms [5, N] → shares that sum to one."""
    shares = np.exp(energy - energy.max(axis=0))
    return shares / shares.sum(axis=0)


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return tuple(part if a == axis else slice(None) for a in range(3))
