"""Slices as pictures: windowing, label colours, lesion outlines and legends, and the sheets they form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from strokereg.core.scan.view import Convention

BLACK = 8  # up to this level a pixel is background
SCALE = 3  # pixels per voxel: slices are small, and outlines need finer pixels

Colour = tuple[int, int, int]

#: Tissues in warm greys from dark to light, so that only the lesion has a colour.
_TISSUE_DARK, _TISSUE_LIGHT = np.array([38, 52, 66]), np.array([226, 220, 205])
_LISTED = 9  # tissues that a legend names one by one
TRUTH, CALLED = (230, 110, 20), (86, 180, 233)  # orange and blue, distinct for every kind of colour vision
_LINE, _HALO = 2, 1  # pixels: an outline, and the dark rim that sets it off from bright voxels


@dataclass(frozen=True)
class Outlined:
    """A mask outlined on a shared background: `ground` uint8 [H, W], `mask` bool [Y, X], and the colour."""

    ground: np.ndarray
    mask: np.ndarray
    colour: Colour


#: A picture, uint8 [H, W] or [H, W, 3] or outlined; a text in place of one; None leaves the cell empty.
Cell = np.ndarray | Outlined | str | None


class Key(NamedTuple):
    """An entry of a legend: what an outline or, if `filled`, an area of this colour is."""

    name: str
    colour: Colour
    filled: bool = False


@dataclass(frozen=True)
class SheetRow:
    """A row of a sheet.

    Attributes:
        label: name of the row.
        images: the cells.
        captions: texts below the pictures.
        sides: letters at the left and right edge, for rows that do not show axial slices.
    """

    label: str
    images: Sequence[Cell]
    captions: Sequence[str] = ()
    sides: tuple[str, str] | None = None


@dataclass(frozen=True)
class Sheet:
    """A table of pictures.

    Attributes:
        title, caption: above the pictures.
        columns: one heading per column, or none.
        legend: the colours in the pictures.
        warning: for example that the training data were simulated.
        convention: the orientation in which the slices were drawn.
        folded: in the report, hidden until the reader opens it.
    """

    title: str
    rows: Sequence[SheetRow]
    columns: Sequence[str] = ()
    caption: str = ""
    legend: Sequence[Key] = ()
    warning: str = ""
    convention: Convention = Convention.RADIOLOGICAL
    folded: bool = False


def window(plane: np.ndarray, low: float, high: float, scale: int = SCALE) -> np.ndarray:
    """Slice [Y, X] → uint8 [scale·Y, scale·X]: `low` is black, `high` white, enlarged smoothly."""
    grey = np.clip((np.asarray(plane, dtype=float) - low) / (high - low), 0, 1) * 255
    return np.asarray(_enlarge(Image.fromarray(grey.round().astype(np.uint8)), scale, Image.Resampling.BICUBIC))


def label_colours(plane: np.ndarray, count: int, scale: int = SCALE) -> np.ndarray:
    """Label map [Y, X] → uint8 [scale·Y, scale·X, 3]: background black, tissues grey, the last label in colour.

    Args:
        count: number of labels, background and lesion included.
    """
    picture = Image.fromarray(_label_table(count)[np.asarray(plane)])
    return np.asarray(_enlarge(picture, scale, Image.Resampling.NEAREST))


def label_legend(names: Sequence[str]) -> list[Key]:
    """The legend of `label_colours`; of many tissues it names the first and the last.

    Args:
        names: of all labels, background first and lesion last.
    """
    table = _label_table(len(names))
    keys = [Key(name, _colour(table[i]), True) for i, name in enumerate(names)][1:]
    if len(keys) <= _LISTED:
        return keys
    return [keys[0]._replace(name=f"{names[1]}, and on in the order of the labels to"), *keys[-2:]]


def outline(image: np.ndarray, mask: np.ndarray, colour: Colour = TRUTH) -> np.ndarray:
    """Draw a line around a mask, just outside of it and with a dark rim, on a copy of a picture.

    Args:
        image: uint8 [H, W] or [H, W, 3], for instance of `window`.
        mask: bool [Y, X], where H and W are whole multiples of Y and X.
        colour: red, green, blue.

    Returns:
        uint8 [H, W, 3].
    """
    drawn = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image.copy()
    enlarged = np.kron(mask, np.ones((drawn.shape[0] // mask.shape[0], drawn.shape[1] // mask.shape[1]), dtype=bool))
    square = np.ones((3, 3), dtype=bool)
    line = ndimage.binary_dilation(enlarged, square, _LINE)
    drawn[ndimage.binary_dilation(line, square, _HALO) & ~enlarged] = 0
    drawn[line & ~enlarged] = colour
    return drawn


def pooled(mask: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """A mask in coarser voxels, `steps` voxels each along the axes; True if any of them is, so small lesions stay."""
    padded = np.pad(mask, [(0, -size % step) for size, step in zip(mask.shape, steps, strict=True)])
    shape = [part for size, step in zip(padded.shape, steps, strict=True) for part in (size // step, step)]
    return np.asarray(padded.reshape(shape).any(axis=tuple(range(1, len(shape), 2))))


def flat(picture: np.ndarray | Outlined) -> np.ndarray:
    """Any picture as uint8 [H, W] or [H, W, 3]."""
    if isinstance(picture, Outlined):
        return outline(picture.ground, picture.mask, picture.colour)
    return picture


def pictures_of(sheet: Sheet) -> list[np.ndarray | Outlined]:
    """The pictures of a sheet, without texts and empty cells."""
    return [cell for row in sheet.rows for cell in row.images if isinstance(cell, np.ndarray | Outlined)]


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


def _label_table(count: int) -> np.ndarray:
    """The colour of each label, uint8 [count, 3]."""
    shade = np.linspace(0, 1, max(count - 2, 1))[:, None]
    table = np.zeros((count, 3), dtype=np.uint8)
    table[1:-1] = (_TISSUE_DARK + shade * (_TISSUE_LIGHT - _TISSUE_DARK))[: count - 2].round()
    table[-1] = TRUTH
    return table


def _colour(entry: np.ndarray) -> Colour:
    red, green, blue = (int(part) for part in entry)
    return red, green, blue


def _enlarge(picture: Image.Image, scale: int, how: Image.Resampling) -> Image.Image:
    return picture.resize((picture.width * scale, picture.height * scale), how)
