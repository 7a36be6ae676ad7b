"""Slices as pictures: windowing, orientation, label colours and lesion outlines, in sheets and as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import numpy as np
from PIL import Image
from scipy import ndimage

BLACK = 8  # up to this level a pixel is background
SCALE = 3  # pixels per voxel: slices are small, and outlines need finer pixels

#: Tissues in warm greys from dark to light, so that only the lesion has a colour.
_TISSUE_DARK, _TISSUE_LIGHT = np.array([38, 52, 66]), np.array([226, 220, 205])
TRUTH, CALLED = (230, 110, 20), (86, 180, 233)  # orange and blue, distinct for every kind of colour vision


@dataclass(frozen=True)
class Outlined:
    """A mask outlined on a shared background: `ground` uint8 [H, W], `mask` bool [Y, X], and the colour."""

    ground: np.ndarray
    mask: np.ndarray
    colour: tuple[int, int, int]


Picture = np.ndarray | Outlined


class SheetRow(TypedDict):
    """A row of a sheet. Images are uint8 [H, W] or [H, W, 3] or outlined; None leaves a cell empty.

    `captions` are texts below the pictures, for sheets that are written as PNG.
    """

    label: str
    images: Sequence[Picture | None]
    captions: NotRequired[Sequence[str]]


class Sheet(TypedDict):
    """A table of pictures with one heading per column; `folded` hides it until the reader opens it."""

    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[SheetRow]
    folded: NotRequired[bool]


def radiological(plane: np.ndarray) -> np.ndarray:
    """Axial slice [Y, X] (axes towards A, R) in radiological view: anterior up, the right side on the left."""
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


def flat(picture: Picture) -> np.ndarray:
    """Any picture as uint8 [H, W] or [H, W, 3]."""
    if isinstance(picture, Outlined):
        return outline(picture.ground, picture.mask, picture.colour)
    return picture


class Layers:
    """The backgrounds that pictures of one page share, each stored once in a style class."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def cell(self, picture: Picture, box: tuple[slice, slice]) -> tuple[str, str]:
        """The style class of a picture's background, or an empty one, and the data URI of the picture on top of it."""
        if not isinstance(picture, Outlined):
            return "", data_uri(picture[box])
        ground = data_uri(picture.ground[box])
        name = self._names.setdefault(ground, f"ground{len(self._names)}")
        return name, _lines(picture, box)

    def rules(self) -> str:
        """The style rules of all backgrounds."""
        return "\n".join(f"img.{name} {{ background-image: url({uri}); }}" for uri, name in self._names.items())


def _lines(picture: Outlined, box: tuple[slice, slice]) -> str:
    """The outline alone on a transparent background, as a data URI: two colours, a few hundred bytes."""
    drawn = outline(np.zeros_like(picture.ground), picture.mask, (1, 1, 1))[box][..., 0]
    image = Image.fromarray(np.ascontiguousarray(drawn), mode="P")
    image.putpalette([0, 0, 0, *picture.colour])
    return picture_uri(image, transparency=0)


def trim(pictures: Sequence[np.ndarray], margin: int = 6) -> tuple[slice, slice]:
    """The part that remains if the black margin common to all pictures of a sheet is removed.

    Pictures of different sizes are not cropped.
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
    return picture_uri(Image.fromarray(np.ascontiguousarray(picture)))


def picture_uri(image: Image.Image, **how: Any) -> str:
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True, **how)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _enlarge(picture: Image.Image, scale: int, how: Image.Resampling) -> Image.Image:
    return picture.resize((picture.width * scale, picture.height * scale), how)
