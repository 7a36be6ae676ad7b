"""Expectation and maximisation over grey matter, white matter and fluid, with the atlas as prior, for any contrast.

The unified idea of Ashburner and Friston 2005 (doi:10.1016/j.neuroimage.2005.02.018): each kind of tissue has a
Gaussian intensity in this scan, and each voxel a prior by its location. Nothing is assumed about which kind is bright.
Two things are added. Chronic lesions and vessels fit no Gaussian, so that in grey and white matter a small uniform part
leaves them to the prior. Fluid is the extreme of most contrasts: beyond its mean it is as likely as at its mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Rows of the shares, in the order of `core.tissue.classes.TISSUES`: csf, ventricle, cortex, deep grey, white.
_KINDS = ((0, 1), (2, 3), (4,))  # fluid, grey, white
_FLUID = 0
_UNIFORM = np.array([0.0005, 0.02, 0.02], np.float32)[:, None]  # density of misfits, per deviation of all voxels
_TRUST = 0.5  # weight of the atlas in choosing between kinds
_FEW = 20.0  # voxels: a broad shape with this weight keeps a rare kind from collapsing
_NEIGHBOURS = 0.5  # weight of each of the nearest voxels


@dataclass(frozen=True)
class Mixture:
    """The result of `fit`.

    Attributes:
        belief: float32 [5, N], probability of each tissue.
        density: float32 [5, N], of the voxel's intensity under each tissue.
        evidence: mean log likelihood of the voxels that were fitted.
    """

    belief: np.ndarray
    density: np.ndarray
    evidence: float


def fit(values: np.ndarray, shares: np.ndarray, used: np.ndarray, rounds: int = 6) -> Mixture:
    """Fit the intensities of one scan.

    Args:
        values: float32 [N], intensity of each brain voxel.
        shares: float32 [5, N], the atlas's share of each tissue.
        used: bool [N]; lesion voxels are left out of the fit and get a belief like all others.
        rounds: of expectation and maximisation.
    """
    prior = np.stack([shares[list(kind)].sum(axis=0) for kind in _KINDS])
    within = np.empty_like(shares)  # share of a tissue in its kind
    for row, kind in zip(prior, _KINDS, strict=True):
        within[list(kind)] = shares[list(kind)] / row
    belief = prior * used
    prior = prior**_TRUST
    prior /= prior.sum(axis=0)
    overall = float(values[used].var()) + 1e-12
    for _ in range(rounds):
        weight = belief.sum(axis=1) + 1e-9
        means = (belief @ values / weight).astype(np.float32)
        far = values - means[:, None]
        variance = ((belief * far**2).sum(axis=1) + _FEW * overall) / (weight + _FEW)
        solid = float(weight[1:] @ means[1:] / weight[1:].sum())
        far[_FLUID] *= (far[_FLUID] > 0) == (solid > means[_FLUID])
        density = np.exp(far**2 * (-0.5 / variance)[:, None].astype(np.float32))
        density /= np.sqrt(variance)[:, None].astype(np.float32)
        density += _UNIFORM / np.float32(np.sqrt(overall))
        joint = prior * density
        total = joint.sum(axis=0)
        belief = joint / total * used
    evidence = float(np.log(total[used]).mean())
    spread = [kind for kind, members in enumerate(_KINDS) for _ in members]
    return Mixture((joint / total)[spread] * within, density[spread], evidence)


def smooth(belief: np.ndarray, brain: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Belief [5, N] after one look at the nearest voxels, which removes single voxels of another tissue.

    Args:
        brain: bool [X, Y, Z] with N voxels.
        spacing: voxel edges in mm; distant neighbours weigh less.
    """
    volume = np.zeros((len(belief), *brain.shape), dtype=np.float32)
    volume[:, brain] = belief
    near = np.zeros_like(volume)
    for axis, weight in enumerate(_NEIGHBOURS * spacing.min() / spacing, start=1):
        upper, lower = (
            tuple(part if a == axis else slice(None) for a in range(4)) for part in (slice(1, None), slice(None, -1))
        )
        near[lower] += np.float32(weight) * volume[upper]
        near[upper] += np.float32(weight) * volume[lower]
    return belief * np.exp(near[:, brain])
