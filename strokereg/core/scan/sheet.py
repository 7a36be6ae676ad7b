"""Write a sheet of pictures as one PNG, to look at without a browser."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from strokereg.core.scan.pictures import Sheet, flat
from strokereg.core.storage.files import keep_foreign, replacing
from strokereg.registry.errors import InputError

_GAP, _HEADING, _LABEL, _LINE = 4, 22, 150, 16  # pixels: between cells, for headings, for labels, for a caption's line
_SOFTWARE = "strokereg"  # the text by which our own pictures are known
_PAPER, _INK, _FAULT = (18, 18, 18), (235, 235, 235), (240, 120, 110)


def write_sheet(sheet: Sheet, path: Path) -> Path:
    """Draw a sheet: column headings, row labels, and captions below the pictures, as far as the sheet has them.

    All cells are as large as the largest picture; smaller pictures are centred.

    Raises:
        InputError: the path does not end in .png, cannot be written, or is a file that strokereg did not write.
        ValueError: a sheet without pictures.
    """
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: the sheet is a PNG; give a name that ends in .png")
    keep_foreign([path], is_sheet, "move it, or choose another name")
    rows, font = sheet["rows"], ImageFont.load_default(13)
    pictures = [flat(image) for row in rows for image in row["images"] if image is not None]
    high, wide = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    side = max(int(font.getlength(row["label"])) for row in rows)
    side = max(_LABEL, side + 4 * _GAP) if side else _GAP
    top = _HEADING if sheet["columns"] else _GAP
    below = _LINE * max(len(caption.splitlines()) for row in rows for caption in ["", *row.get("captions", ())])
    step = (wide + _GAP, high + below + _GAP)
    columns = max(len(row["images"]) for row in rows)
    page = Image.new("RGB", (side + columns * step[0], top + len(rows) * step[1]), _PAPER)
    pen = ImageDraw.Draw(page)
    for column, heading in enumerate(sheet["columns"]):
        pen.text((side + column * step[0], 3), heading, _INK, font)
    for number, row in enumerate(rows):
        y = top + number * step[1]
        pen.text((4, y + high // 2 - 8), row["label"], _INK, font)
        for column, image in enumerate(row["images"]):
            if image is not None:
                tile = Image.fromarray(np.ascontiguousarray(flat(image))).convert("RGB")
                page.paste(tile, (side + column * step[0] + (wide - tile.width) // 2, y + (high - tile.height) // 2))
        for column, caption in enumerate(row.get("captions", ())):
            pen.multiline_text((side + column * step[0], y + high), caption, _INK, font, spacing=2)
    try:
        with replacing(path) as temporary:
            page.save(temporary, optimize=True, pnginfo=_mark())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
    return path


def is_sheet(path: Path) -> bool:
    """True for a PNG that `write_sheet` wrote, which may be replaced by a new one."""
    try:
        with Image.open(path) as image:
            return image.info.get("Software") == _SOFTWARE
    except (OSError, ValueError, SyntaxError):  # the last one is Pillow's for a broken PNG
        return False


def _mark() -> PngInfo:
    mark = PngInfo()
    mark.add_text("Software", _SOFTWARE)
    return mark


def draw_error(text: str, size: int) -> np.ndarray:
    """A picture of an error message, uint8 [size, size, 3], for a cell without an image."""
    picture, font = Image.new("RGB", (size, size), _PAPER), ImageFont.load_default(12)
    lines = textwrap.wrap(text, width=size // 7)[: size // 18]
    ImageDraw.Draw(picture).multiline_text((4, 4), "\n".join(lines), _FAULT, font)
    return np.asarray(picture)
