"""Write a sheet of pictures as one PNG, to look at without a browser. It looks like a report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from strokereg.core.scan.pictures import Colour, Key, Outlined, Sheet, flat, pictures_of
from strokereg.core.storage.files import keep_foreign, replacing
from strokereg.registry.errors import InputError

_SOFTWARE = "strokereg"  # the text by which our own pictures are known
_GAP, _EDGE, _LINE, _SWATCH = 6, 12, 17, 11  # pixels: between cells, around the page, line height, swatch of a legend
_LABEL, _NARROW, _TEXT = 170, 420, 240  # pixels: widest label, narrowest page, width of a text without pictures
_PAPER, _INK, _QUIET, _WARN = (253, 252, 249), (28, 32, 36), (92, 100, 108), (138, 59, 0)  # as in the report
_FONT, _LETTER, _TITLE = (ImageFont.load_default(size) for size in (13, 15, 17))


def write_sheet(sheet: Sheet, path: Path) -> Path:
    """Draw a sheet: title, headings, labels, pictures with the letters of their sides, captions, and a legend.

    All cells are as large as the largest picture; smaller pictures are centred.

    Raises:
        InputError: the path does not end in .png, cannot be written, or is a file that strokereg did not write.
    """
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: the sheet is a PNG; give a name that ends in .png")
    keep_foreign([path], is_sheet, "move it, or choose another name")
    page = _Page(sheet).drawn()
    try:
        with replacing(path) as temporary:
            page.save(temporary, pnginfo=_mark())  # `optimize` takes six times as long for a tenth less
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


class _Page:
    """The layout of a sheet: a column of labels, equal cells, texts above and below."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        sizes = [flat(picture).shape[:2] for picture in pictures_of(sheet)] or [(_TEXT, _TEXT)]
        self.high, self.wide = (max(sizes, key=lambda size: size[axis])[axis] for axis in (0, 1))
        labels = [line for row in sheet.rows for line in wrap(row.label, _LABEL)]
        self.side = _EDGE + max((_length(line) + 2 * _GAP for line in labels), default=0)
        columns = max(len(row.images) for row in sheet.rows)
        self.width = max(self.side + columns * (self.wide + _GAP) - _GAP + _EDGE, _NARROW)
        self.page = Image.new("RGB", (self.width, 1), _PAPER)
        self.pen = ImageDraw.Draw(self.page)

    def drawn(self) -> Image.Image:
        """The page. It is laid out once to learn its height, and then drawn."""
        height = self._fill()
        self.page = Image.new("RGB", (self.width, height), _PAPER)
        self.pen = ImageDraw.Draw(self.page)
        self._fill()
        return self.page

    def _fill(self) -> int:
        sheet, y, room = self.sheet, _EDGE, self.width - 2 * _EDGE
        if sheet.title:
            y = self._text(_EDGE, y, wrap(sheet.title, room, _TITLE), _INK, _TITLE) + _GAP // 2
        if sheet.caption:
            y = self._text(_EDGE, y, wrap(sheet.caption, room), _QUIET)
        if sheet.title or sheet.caption:
            y += _GAP
        headings = [wrap(heading, self.wide) for heading in sheet.columns]
        lines = max(map(len, headings), default=0)
        for column, heading in enumerate(headings):
            self._text(self._x(column), y + _LINE * (lines - len(heading)), heading, _QUIET)
        y += _LINE * lines
        for row in sheet.rows:
            label = wrap(row.label, _LABEL)
            self._text(_EDGE, y + (self.high - _LINE * len(label)) // 2, label, _INK)
            for column, cell in enumerate(row.images):
                if isinstance(cell, str):
                    self._text(self._x(column) + _GAP, y + _GAP, wrap(cell, self.wide - 2 * _GAP), _WARN)
                elif cell is not None:
                    self._picture(cell, self._x(column), y, row.sides or sheet.convention.sides)
            y += self.high
            below = [wrap(caption, self.wide) for caption in row.captions]
            for column, caption in enumerate(below):
                self._text(self._x(column), y + _GAP // 2, caption, _INK)
            y += _LINE * max(map(len, below), default=0) + _GAP
        y = self._legend(y + _GAP // 2, sheet.legend) if sheet.legend else y
        y = self._text(_EDGE, y, wrap(sheet.convention.sentence, room), _QUIET)
        if sheet.warning:
            y = self._text(_EDGE, y, wrap(sheet.warning, room), _WARN)
        return y + _EDGE

    def _x(self, column: int) -> int:
        return self.side + column * (self.wide + _GAP)

    def _picture(self, cell: np.ndarray | Outlined, x: int, y: int, sides: tuple[str, str]) -> None:
        tile = Image.fromarray(np.ascontiguousarray(flat(cell))).convert("RGB")
        x, y = x + (self.wide - tile.width) // 2, y + (self.high - tile.height) // 2
        self.page.paste(tile, (x, y))
        for letter, edge, anchor in zip(sides, (x + 4, x + tile.width - 4), ("lm", "rm"), strict=True):
            where = (edge, y + tile.height // 2)
            self.pen.text(where, letter, "white", _LETTER, anchor, stroke_width=2, stroke_fill="black")

    def _legend(self, y: int, legend: Sequence[Key]) -> int:
        x = _EDGE
        for key in legend:
            length = _SWATCH + _GAP + _length(key.name)
            if x > _EDGE and x + length > self.width - _EDGE:
                x, y = _EDGE, y + _LINE
            box = (x, y + 3, x + _SWATCH, y + 3 + _SWATCH)
            fill, edge, width = (key.colour, _QUIET, 1) if key.filled else (_PAPER, key.colour, 2)
            self.pen.rectangle(box, fill, edge, width)
            self._text(x + _SWATCH + _GAP, y, [key.name], _INK)
            x += length + 3 * _GAP
        return y + _LINE

    def _text(
        self,
        x: int,
        y: int,
        lines: list[str],
        colour: Colour,
        font: ImageFont.FreeTypeFont | ImageFont.ImageFont | None = None,
    ) -> int:
        """Draw lines of text; the height below them."""
        step = _LINE + (4 if font else 0)
        for number, line in enumerate(lines):
            self.pen.text((x, y + number * step), line, colour, font or _FONT)
        return y + len(lines) * step


def wrap(text: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont = _FONT) -> list[str]:
    """Break a text into lines of at most `width` pixels.

    It breaks at spaces, and inside a name that is longer than a line after `-`, `_` or `/`. A part that is still too
    long ends in `…`.
    """
    lines: list[str] = []
    for paragraph in text.splitlines():
        lines.append("")
        for word in paragraph.split(" "):
            parts = [word] if _length(word, font) <= width else re.findall(r"[^_/-]+[_/-]*|[_/-]+", word)
            for number, part in enumerate(parts):
                gap = " " if lines[-1] and not number else ""
                if lines[-1] and _length(lines[-1] + gap + part, font) > width:
                    lines.append("")
                    gap = ""
                lines[-1] += gap + part
    return [_cut(line, width, font) for line in lines]


def _cut(line: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while len(line) > 1 and _length(line, font) > width:
        line = line.removesuffix("…")[:-1] + "…"
    return line


def _length(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont = _FONT) -> int:
    return int(font.getlength(text)) + 1
