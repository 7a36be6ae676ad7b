"""The input of tissue classification: brain, T2 weighting and diffusion of a scan, on canonical axes.

A DWI of b = 1000 s/mm² shows little contrast between grey and white matter: grey matter is brighter by its longer T2
and darker by its faster diffusion. An ADC map allows to undo the second effect, S0 = S·exp(b·ADC). In S0, the scan
without diffusion weighting, grey matter and fluid stand out. The ADC itself is free of coil shading.
"""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy import ndimage

from strokereg.core.cohort.case import Case
from strokereg.core.scan.box import extent
from strokereg.core.scan.grid import brain_median, foreground
from strokereg.core.scan.units import UNITS, unit_of
from strokereg.core.simulate.anatomy import SMALLEST_BRAIN_ML
from strokereg.registry.errors import InputError

_EMPTY = 0.05  # least share of exact zeros in a skull-stripped image
_FASTEST = 3.5  # 10⁻³ mm²/s: free water at body temperature is 3.0
_MEDIAN_ADC = (0.4, 2.0)  # of a brain in 10⁻³ mm²/s


@dataclass(frozen=True)
class BrainScan:
    """A case's brain, cropped to it, on axes nearest to R, A, S.

    Attributes:
        channels: float32 [C, X, Y, Z]: log of the T2-weighted (or, without ADC, diffusion-weighted) signal over its
            brain median; then the ADC in 10⁻³ mm²/s where there is one.
        brain: bool [X, Y, Z].
        lesion: bool [X, Y, Z]; left out of every fit.
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
    """Find the brain of a case, and the channels that separate its tissues.

    Args:
        b_value: of the DWI, in s/mm².

    Raises:
        InputError: less than 200 ml of the DWI look like brain, or the ADC is in no known unit.
    """
    dwi, adc = case.dwi, case.images.get("adc")
    turn = nib.orientations.io_orientation(dwi.affine)
    images = [dwi.data, *([adc.data] if adc else []), *([case.mask] if case.mask is not None else [])]
    turned = [np.ascontiguousarray(nib.orientations.apply_orientation(image, turn)) for image in images]
    brain = find_brain(turned[0])
    if brain.sum() * dwi.voxel_ml < SMALLEST_BRAIN_ML:
        raise InputError(
            f"{dwi.path}: only {brain.sum() * dwi.voxel_ml:.0f} ml of it look like brain; give a DWI of a whole head"
        )
    where = tuple(slice(low, high + 1) for low, high in extent(brain))
    median = brain_median(dwi.data)
    weighted = np.maximum(turned[0][where], 0.02 * median) / median
    channels = [np.log(weighted)]
    if adc:
        median_adc = float(np.median(turned[1][brain]))
        unit = unit_of(median_adc, _MEDIAN_ADC)
        if unit is None:
            raise InputError(
                f"{adc.path}: its median in the brain is {median_adc:.3g}, which fits no unit of ADC; correct it"
            )
        diffusion = np.clip(turned[1][where] * UNITS[unit], 0.0, _FASTEST)
        channels = [channels[0] + b_value / 1000.0 * diffusion, diffusion]
    lesion = turned[-1][where] > 0 if case.mask is not None else np.zeros(brain[where].shape, dtype=bool)
    edges = np.array(dwi.spacing)[np.argsort(turn[:, 0])]
    return BrainScan(
        np.stack(channels).astype(np.float32), brain[where], lesion & brain[where], edges, where, turn, dwi.data.shape
    )


def find_brain(image: np.ndarray) -> np.ndarray:
    """Brain mask of a DWI [X, Y, Z]: its foreground if it is skull-stripped, else by Otsu's threshold.

    The second way is "median Otsu": median filter, Otsu's threshold, an opening that cuts off eyes and scalp, the
    largest piece, holes filled. It works for fat-suppressed scans such as echo-planar DWI; a skull strip is better.
    """
    if np.mean(image == 0) > _EMPTY:
        return ndimage.binary_fill_holes(_largest(foreground(image) | (image > 0)))
    from skimage.filters import threshold_otsu

    smooth = ndimage.median_filter(image, 5)
    # The square root compresses the bright tail, so that the threshold falls between air and brain.
    level = threshold_otsu(np.sqrt(np.maximum(smooth, 0.0)))
    inner = _largest(ndimage.binary_opening(smooth > level**2, iterations=2))
    return ndimage.binary_fill_holes(ndimage.binary_closing(inner, iterations=3) | inner)


def _largest(mask: np.ndarray) -> np.ndarray:
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    return pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())


def _backwards(turn: np.ndarray) -> np.ndarray:
    """The inverse of an orientation."""
    back = np.empty_like(turn)
    for axis, (target, sign) in enumerate(turn):
        back[int(target)] = axis, sign
    return back
