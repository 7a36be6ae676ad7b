"""The orientation of pictures: which side of the patient is on the left, and the letters that say so."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class Convention(StrEnum):
    """How axial slices are shown. All pictures of the package use this class, so they all agree."""

    RADIOLOGICAL = "radiological"
    NEUROLOGICAL = "neurological"

    @property
    def sides(self) -> tuple[str, str]:
        """The letters at the left and right edge of an axial slice."""
        return ("R", "L") if self is Convention.RADIOLOGICAL else ("L", "R")

    @property
    def sentence(self) -> str:
        """The convention in words, for the foot of a sheet."""
        side = "right" if self is Convention.RADIOLOGICAL else "left"
        return f"Axial slices in {self} view: the patient's {side} (letter {side[0].upper()}) is on the left."

    def turn(self, planes: np.ndarray) -> np.ndarray:
        """Axial slices [..., Y, X] (axes towards A and R) as they are shown: anterior up."""
        return planes[..., ::-1, ::-1] if self is Convention.RADIOLOGICAL else planes[..., ::-1, :]


def axial(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """A volume as it is stored, as axial slices [Z, Y, X]: axes towards superior, anterior and right.

    Args:
        affine: [4, 4], from voxels to mm (RAS).
    """
    import nibabel as nib

    turned = nib.orientations.apply_orientation(volume, nib.orientations.io_orientation(affine))
    return turned.transpose(2, 1, 0)
