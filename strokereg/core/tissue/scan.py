"""The input of tissue classification: the brain of a case and what separates its tissues, on canonical axes.

For most contrasts that is the image itself. A DWI of b = 1000 s/mm² shows little contrast between grey and white
matter: grey matter is brighter by its longer T2 and darker by its faster diffusion. An ADC map allows to undo the
second effect, S0 = S·exp(b·ADC). In S0, the scan without diffusion weighting, grey matter and fluid stand out. The ADC
itself is free of coil shading.
"""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy import ndimage

from strokereg.core.cohort.case import Case
from strokereg.core.scan.box import extent
from strokereg.core.scan.grid import brain_median, foreground
from strokereg.core.scan.nifti import Volume
from strokereg.core.scan.units import UNITS, unit_of
from strokereg.core.simulate.anatomy import SMALLEST_BRAIN_ML
from strokereg.registry.errors import InputError

_EMPTY = 0.05  # least share of exact zeros in a skull-stripped image
_FASTEST = 3.5  # 10⁻³ mm²/s: free water at body temperature is 3.0
_HEAD_MM = 100.0  # a scan of this height shows most of a head
_MEDIAN_ADC = (0.4, 2.0)  # of a brain in 10⁻³ mm²/s


@dataclass(frozen=True)
class BrainScan:
    """A case's brain, cropped to it, on axes nearest to R, A, S.

    Attributes:
        channels: float32 [C, X, Y, Z]. Of a DWI: log of the T2-weighted (or, without ADC, diffusion-weighted) signal
            over its brain median; then the ADC in 10⁻³ mm²/s where there is one. Of another contrast: the image over
            its brain median.
        brain: bool [X, Y, Z].
        lesion: bool [X, Y, Z]; left out of every fit.
        spacing: voxel edges in mm, [3].
        to_mni: 4×4, voxel of this array → MNI mm, if the image is in MNI space; else None.
    """

    channels: np.ndarray
    brain: np.ndarray
    lesion: np.ndarray
    spacing: np.ndarray
    to_mni: np.ndarray | None
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
        case: its first image counts, and with a DWI also the ADC.
        b_value: of the DWI, in s/mm².

    Raises:
        InputError: too little of the image looks like brain, or the ADC is in no known unit.
    """
    contrast, image = next(iter(case.images.items()))
    turn = nib.orientations.io_orientation(image.affine)
    turned = _turned(image.data, turn)
    brain = find_brain(turned)
    edges = np.array(image.spacing)[np.argsort(turn[:, 0])]
    # A single slice or a slab holds less than a whole head.
    least = SMALLEST_BRAIN_ML * min(1.0, brain.shape[2] * edges[2] / _HEAD_MM)
    if brain.sum() * image.voxel_ml < least:
        raise InputError(
            f"{image.path}: only {brain.sum() * image.voxel_ml:.1f} ml of it look like brain, less than "
            f"{least:.1f} ml; give an image of a whole head or of whole axial slices"
        )
    where = tuple(slice(low, high + 1) for low, high in extent(brain))
    shape = tuple(image.data.shape)
    inside = brain[where]
    if contrast == "dwi":
        adc = case.images.get("adc")
        diffusion = None if adc is None else _diffusion(adc, _turned(adc.data, turn), brain)[where]
        channels = _diffusion_channels(turned[where], brain_median(image.data), diffusion, b_value)
    else:
        channels = (turned[where] / (np.median(turned[brain]) or 1.0))[None]
    lesion = inside & (_turned(case.mask, turn)[where] > 0) if case.mask is not None else np.zeros_like(inside)
    to_mni = None
    if image.in_mni:
        corner = np.eye(4)
        corner[:3, 3] = [part.start for part in where]
        to_mni = image.affine @ nib.orientations.inv_ornt_aff(turn, shape) @ corner
    return BrainScan(channels.astype(np.float32), inside, lesion, edges, to_mni, where, turn, shape)


def _turned(data: np.ndarray, turn: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(nib.orientations.apply_orientation(data, turn))


def _diffusion(adc: Volume, data: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """The ADC in 10⁻³ mm²/s, whatever its unit."""
    median = float(np.median(data[brain]))
    unit = unit_of(median, _MEDIAN_ADC)
    if unit is None:
        raise InputError(f"{adc.path}: its median in the brain is {median:.3g}, which fits no unit of ADC; correct it")
    return np.clip(data * UNITS[unit], 0.0, _FASTEST)


def _diffusion_channels(dwi: np.ndarray, median: float, diffusion: np.ndarray | None, b_value: float) -> np.ndarray:
    weighted = np.log(np.maximum(dwi, 0.02 * median) / median)
    return weighted[None] if diffusion is None else np.stack([weighted + b_value / 1000.0 * diffusion, diffusion])


def find_brain(image: np.ndarray) -> np.ndarray:
    """Brain mask of an image [X, Y, Z]: its foreground if it is skull-stripped, else by Otsu's threshold.

    The second way is "median Otsu": median filter, Otsu's threshold, an opening that cuts off eyes and scalp, the
    largest piece, holes filled. It works for fat-suppressed scans such as echo-planar DWI; a skull strip is better.
    """
    if np.mean(image == 0) > _EMPTY:
        return _filled(_largest(foreground(image) | (image > 0)))
    from skimage.filters import threshold_otsu

    smooth = ndimage.median_filter(image, 5)
    # The square root compresses the bright tail, so that the threshold falls between air and brain.
    level = threshold_otsu(np.sqrt(np.maximum(smooth, 0.0)))
    inner = _largest(ndimage.binary_opening(smooth > level**2, iterations=2))
    return _filled(ndimage.binary_closing(inner, iterations=3) | inner)


def _filled(mask: np.ndarray) -> np.ndarray:
    """Holes filled; in a single slice those within the slice."""
    if mask.shape[2] == 1:
        return ndimage.binary_fill_holes(mask[:, :, 0])[:, :, None]
    return ndimage.binary_fill_holes(mask)


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
