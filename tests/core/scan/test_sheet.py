"""Sheets: headings, labels and captions take room only if there are any."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from strokereg.core.scan.sheet import draw_error, write_sheet
from strokereg.registry.errors import InputError


def sheet(rows, columns=()):
    return {"title": "", "caption": "", "columns": columns, "rows": rows}


def size(path):
    with Image.open(path) as image:
        return image.size


def test_a_bare_sheet_is_its_pictures_and_gaps(tmp_path):
    white = np.full((30, 40), 255, np.uint8)
    path = write_sheet(sheet([{"label": "", "images": [white, None]}]), tmp_path / "a.png")
    assert size(path) == (4 + 2 * 44, 4 + 34)


def test_headings_labels_and_captions_are_added(tmp_path):
    white = np.full((30, 40), 255, np.uint8)
    rows = [{"label": "first", "images": [white], "captions": ["name\nvolume"]}, {"label": "", "images": [white]}]
    wide, high = size(write_sheet(sheet(rows, ["DWI"]), tmp_path / "a.png"))
    assert (wide, high) == (150 + 44, 22 + 2 * (34 + 32))


def test_smaller_pictures_are_centred(tmp_path):
    rows = [{"label": "", "images": [np.zeros((30, 30), np.uint8), np.full((10, 10, 3), 255, np.uint8)]}]
    with Image.open(write_sheet(sheet(rows), tmp_path / "a.png")) as image:
        ys, xs = np.nonzero(np.asarray(image.convert("L")) == 255)
    assert (ys.min(), ys.max()) == (4 + 10, 4 + 19)
    assert (xs.min(), xs.max()) == (4 + 34 + 10, 4 + 34 + 19)


def test_wrong_places_are_one_sentence(tmp_path):
    rows = [{"label": "", "images": [np.zeros((3, 3), np.uint8)]}]
    with pytest.raises(InputError, match="the sheet is a PNG; give a name"):
        write_sheet(sheet(rows), tmp_path / "a.pdf")
    with pytest.raises(InputError, match="cannot be written"):
        write_sheet(sheet(rows), tmp_path / "absent" / "a.png")
    with pytest.raises(ValueError, match="empty"):
        write_sheet(sheet([{"label": "", "images": [None]}]), tmp_path / "a.png")


def test_an_error_is_a_picture_of_its_text():
    picture = draw_error("damaged or truncated " * 40, 240)
    assert picture.shape == (240, 240, 3)
    assert (picture == (240, 120, 110)).all(axis=2).any()
