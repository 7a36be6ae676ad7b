"""Pictures in a page: each background is stored once, in a style class, and outlines are vector lines on top of it.

Lines keep their width at any size, so they can be seen on a thumbnail, on a phone and on paper.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from strokereg.core.scan.pictures import Colour, Outlined


@dataclass(frozen=True)
class Cell:
    """A picture of a page: the style class of its background, the `viewBox` it shows, and an outline if it has one."""

    ground: str
    view: str
    path: str = ""
    colour: str = ""


class Grounds:
    """The backgrounds of one page, each stored once in a style class."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def cell(self, picture: np.ndarray | Outlined, box: tuple[slice, slice]) -> Cell:
        """Cut a picture to a box, in pixels, and keep its background."""
        ground = picture.ground if isinstance(picture, Outlined) else picture
        name = self._names.setdefault(data_uri(ground[box]), f"ground{len(self._names)}")
        rows, columns = (range(*part.indices(size)) for part, size in zip(box, ground.shape[:2], strict=True))
        view = f"{columns.start} {rows.start} {len(columns)} {len(rows)}"
        if not isinstance(picture, Outlined):
            return Cell(name, view)
        return Cell(name, view, contour(picture.mask, ground.shape[0] // picture.mask.shape[0]), hexed(picture.colour))

    def rules(self) -> str:
        """The style rules of all backgrounds."""
        return "\n".join(f".{name} {{ background-image: url({uri}); }}" for uri, name in self._names.items())


def contour(mask: np.ndarray, scale: int = 1) -> str:
    """The border of a mask, bool [Y, X], as an SVG path of horizontal and vertical lines, `scale` units a voxel."""
    steps = []
    for sign, plane in (("h", mask), ("v", mask.T)):
        padded = np.pad(plane.astype(np.int8), 1)
        edges = np.diff(padded, axis=0)[:, 1:-1] != 0  # [lines between the rows, voxels along them]
        ends = np.diff(np.pad(edges.astype(np.int8), ((0, 0), (1, 1))), axis=1)
        starts, stops = np.argwhere(ends == 1), np.argwhere(ends == -1)
        for (line, first), (_, last) in zip(starts * scale, stops * scale, strict=True):
            x, y = (first, line) if sign == "h" else (line, first)
            steps.append(f"M{x} {y}{sign}{last - first}")
    return "".join(steps)


def hexed(colour: Colour) -> str:
    """A colour as `#rrggbb`."""
    return "#" + "".join(f"{part:02x}" for part in colour)


def data_uri(picture: np.ndarray) -> str:
    """Picture uint8 [H, W] or [H, W, 3] → PNG as a data URI."""
    return picture_uri(Image.fromarray(np.ascontiguousarray(picture)))


def picture_uri(image: Image.Image, **how: Any) -> str:
    """An image → PNG as a data URI."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", **how)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
