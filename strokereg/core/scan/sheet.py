"""A sheet of pictures as one PNG, for looking at without a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from strokereg.core.scan.pictures import Sheet, flat
from strokereg.core.storage.files import replacing

_GAP, _TITLE, _SIDE = 4, 22, 150  # pixels between cells, above columns, before rows at least
_PAPER, _INK = (18, 18, 18), (235, 235, 235)


def write_sheet(sheet: Sheet, path: Path) -> Path:
    """Draw a sheet: one heading a column, one label a row; cells are as large as the largest picture.

    Raises:
        ValueError: a sheet without pictures.
    """
    pictures = [flat(image) for row in sheet["rows"] for image in row["images"] if image is not None]
    high, wide = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    columns = max(len(row["images"]) for row in sheet["rows"])
    font = ImageFont.load_default(13)
    side = max(_SIDE, *(int(font.getlength(row["label"])) + 4 * _GAP for row in sheet["rows"]))
    size = (side + columns * (wide + _GAP), _TITLE + len(sheet["rows"]) * (high + _GAP))
    page = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(page)
    for column, heading in enumerate(sheet["columns"]):
        pen.text((side + column * (wide + _GAP), 3), heading, _INK, font)
    for number, row in enumerate(sheet["rows"]):
        top = _TITLE + number * (high + _GAP)
        pen.text((4, top + high // 2 - 8), row["label"], _INK, font)
        for column, picture in enumerate(row["images"]):
            if picture is not None:
                tile = Image.fromarray(np.ascontiguousarray(flat(picture))).convert("RGB")
                page.paste(tile, (side + column * (wide + _GAP), top))
    with replacing(path) as temporary:
        page.save(temporary, optimize=True)
    return path
