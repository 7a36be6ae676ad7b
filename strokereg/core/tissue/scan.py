"""What tissue classes are told apart by: a scan's brain, its T2 weighting and its diffusion, on canonical axes.

A DWI of b = 1000 s/mm² hardly tells grey from white matter: grey is brighter by its longer T2, and darker again by
its faster diffusion. With an ADC map the second part can be taken back, S0 = S·exp(b·ADC), which is the scan without
diffusion weighting, on which grey matter and fluid stand out. The ADC itself is free of coil shading.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from strokereg.core.cohort.case import Case
from strokereg.core.scan.box import extent
from strokereg.core.scan.grid import brain_median, foreground
from strokereg.registry.errors import InputError

_EMPTY = 0.05  # of all voxels: what a skull-stripped image holds of exact zeros at least
_FASTEST = 3.5  # 10⁻³ mm²/s: free water at body temperature is 3.0
_MEDIAN_ADC = 0.9
_SMALLEST_BRAIN_ML = 200.0


@dataclass(frozen=True)
class BrainScan:
    """A case's brain, cropped to it, on axes nearest to R, A, S.

    Attributes:
        channels: float32 [C, X, Y, Z]: log of the T2-weighted (or, without ADC, diffusion-weighted) signal over its
            brain median; then the ADC in 10⁻³ mm²/s where there is one.
        brain: bool [X, Y, Z].
        lesion: bool [X, Y, Z]; takes no part in any fit.
        spacing: voxel edges in mm, [3].
    """

    channels: np.ndarray
    brain: np.ndarray
    lesion: np.ndarray
    spacing: np.ndarray
    _where: tuple[slice, ...]
    _turn: np.ndarray
    _shape: tuple[int, ...]

    @property
    def fitted(self) -> np.ndarray:
        """Brain voxels outside the lesion, bool [X, Y, Z]."""
        return self.brain & ~self.lesion

    def restore(self, labels: np.ndarray) -> np.ndarray:
        """Labels on these axes → uint8 on the case's own grid [I, J, K]."""
        there = np.zeros([self._shape[int(axis)] for axis in np.argsort(self._turn[:, 0])], dtype=np.uint8)
        there[self._where] = labels
        return nib.orientations.apply_orientation(there, _backwards(self._turn))


def take_scan(case: Case, b_value: float = 1000.0) -> BrainScan:
    """Find the brain of a case and what its tissues differ in.

    Args:
        b_value: of the DWI, in s/mm².

    Raises:
        InputError: less than 200 ml of the DWI look like brain, or the ADC is of no known unit.
    """
    dwi, adc = case.dwi, case.images.get("adc")
    turn = nib.orientations.io_orientation(dwi.affine)
    images = [dwi.data, *([adc.data] if adc else []), *([case.mask] if case.mask is not None else [])]
    turned = [np.ascontiguousarray(nib.orientations.apply_orientation(image, turn)) for image in images]
    brain = find_brain(turned[0])
    if brain.sum() * dwi.voxel_ml < _SMALLEST_BRAIN_ML:
        raise InputError(
            f"{dwi.path}: only {brain.sum() * dwi.voxel_ml:.0f} ml of it look like brain; give a DWI of a whole head"
        )
    where = tuple(slice(low, high + 1) for low, high in extent(brain))
    median = brain_median(dwi.data)
    weighted = np.maximum(turned[0][where], 0.02 * median) / median
    channels = [np.log(weighted)]
    if adc:
        diffusion = np.clip(turned[1][where] * _unit(turned[1][brain], adc.path), 0.0, _FASTEST)
        channels = [channels[0] + b_value / 1000.0 * diffusion, diffusion]
    lesion = turned[-1][where] > 0 if case.mask is not None else np.zeros(brain[where].shape, dtype=bool)
    edges = np.array(dwi.spacing)[np.argsort(turn[:, 0])]
    return BrainScan(
        np.stack(channels).astype(np.float32), brain[where], lesion & brain[where], edges, where, turn, dwi.data.shape
    )


def _unit(adc: np.ndarray, path: Path) -> float:
    """What brings an ADC to 10⁻³ mm²/s; maps come in 10⁻³, 10⁻⁶ and 1 mm²/s, and a brain's median is 0.9."""
    median = float(np.median(adc))
    power = round(np.log10(max(median, 1e-12) / _MEDIAN_ADC) / 3.0)
    if power not in (-1, 0, 1) or not 0.4 < median / 1000.0**power < 2.0:
        raise InputError(f"{path}: its median in the brain is {median:.3g}, which no ADC map has; correct its unit")
    return 1000.0**-power


def find_brain(image: np.ndarray) -> np.ndarray:
    """Brain mask of a DWI [X, Y, Z]: its own where it is skull-stripped, else by Otsu's threshold.

    The way of "median Otsu": median filter, Otsu's threshold, opening that cuts eyes and scalp off, largest piece,
    holes filled. It serves for a head whose fat is suppressed, as in echo-planar DWI; a proper skull strip is better.
    """
    if np.mean(image == 0) > _EMPTY:
        return ndimage.binary_fill_holes(_largest(foreground(image) | (image > 0)))
    from skimage.filters import threshold_otsu

    smooth = ndimage.median_filter(image, 5)
    # The square root draws the bright tail in, so that the threshold falls between air and brain.
    level = threshold_otsu(np.sqrt(np.maximum(smooth, 0.0)))
    inner = _largest(ndimage.binary_opening(smooth > level**2, iterations=2))
    return ndimage.binary_fill_holes(ndimage.binary_closing(inner, iterations=3) | inner)


def _largest(mask: np.ndarray) -> np.ndarray:
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    return pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())


def _backwards(turn: np.ndarray) -> np.ndarray:
    """The orientation that undoes `turn`."""
    back = np.empty_like(turn)
    for axis, (target, sign) in enumerate(turn):
        back[int(target)] = axis, sign
    return back
