"""Slices as pictures: windowing, orientation, label colours, lesion outlines, and sheets of them as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from PIL import Image
from scipy import ndimage

BLACK = 8  # up to this level a pixel is background
SCALE = 3  # slices are small; outlines need finer pixels than they have

#: Tissues from dark to light greys with a warm tint, so that the lesion alone is in colour.
_TISSUE_DARK, _TISSUE_LIGHT = np.array([38, 52, 66]), np.array([226, 220, 205])
TRUTH, CALLED = (230, 110, 20), (86, 180, 233)  # orange and blue: told apart by every kind of colour vision


class SheetRow(TypedDict):
    """A row of a sheet; images are uint8 [H, W] or [H, W, 3], None leaves a cell empty."""

    label: str
    images: Sequence[np.ndarray | None]


class Sheet(TypedDict):
    """A table of pictures with one heading per column."""

    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[SheetRow]


def radiological(plane: np.ndarray) -> np.ndarray:
    """Axial slice [Y, X] (axes towards A, R) as radiologists view it: anterior up, the right side on the left."""
    return plane[::-1, ::-1]


def window(plane: np.ndarray, low: float, high: float, scale: int = SCALE) -> np.ndarray:
    """Slice [Y, X] → uint8 [scale·Y, scale·X]: `low` is black, `high` white, enlarged smoothly."""
    grey = np.clip((np.asarray(plane, dtype=float) - low) / (high - low), 0, 1) * 255
    return np.asarray(_enlarge(Image.fromarray(grey.round().astype(np.uint8)), scale, Image.Resampling.BICUBIC))


def label_colours(plane: np.ndarray, count: int, scale: int = SCALE) -> np.ndarray:
    """Label map [Y, X] → uint8 [scale·Y, scale·X, 3]: background black, tissues grey, the last label in colour.

    Args:
        count: number of labels, background and lesion included.
    """
    shade = np.linspace(0, 1, max(count - 2, 1))[:, None]
    table = np.zeros((count, 3), dtype=np.uint8)
    table[1:-1] = (_TISSUE_DARK + shade * (_TISSUE_LIGHT - _TISSUE_DARK))[: count - 2].round()
    table[-1] = TRUTH
    return np.asarray(_enlarge(Image.fromarray(table[np.asarray(plane)]), scale, Image.Resampling.NEAREST))


def outline(image: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int] = TRUTH) -> np.ndarray:
    """Draw the border of a mask on a copy of a picture.

    Args:
        image: uint8 [H, W] or [H, W, 3], for instance of `window`.
        mask: bool [Y, X], where H and W are whole multiples of Y and X.
        colour: red, green, blue.

    Returns:
        uint8 [H, W, 3].
    """
    drawn = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image.copy()
    enlarged = np.kron(mask, np.ones((drawn.shape[0] // mask.shape[0], drawn.shape[1] // mask.shape[1]), dtype=bool))
    drawn[enlarged & ~ndimage.binary_erosion(enlarged)] = colour
    return drawn


def trim(pictures: Sequence[np.ndarray], margin: int = 6) -> tuple[slice, slice]:
    """The part that all pictures of a sheet can be cut to without losing anything but black.

    Pictures of different sizes are left whole.
    """
    whole = (slice(None), slice(None))
    if len({picture.shape[:2] for picture in pictures}) != 1:
        return whole
    bright = np.any([picture.reshape(*picture.shape[:2], -1).max(axis=2) > BLACK for picture in pictures], axis=0)
    if not bright.any():
        return whole
    spans = [np.flatnonzero(bright.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (slice(max(0, int(span[0]) - margin), int(span[-1]) + 1 + margin) for span in spans)
    return rows, columns


def data_uri(picture: np.ndarray) -> str:
    """Picture uint8 [H, W] or [H, W, 3] → PNG as a data URI."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _enlarge(picture: Image.Image, scale: int, how: Image.Resampling) -> Image.Image:
    return picture.resize((picture.width * scale, picture.height * scale), how)
