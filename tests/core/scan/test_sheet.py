"""Sheets: texts take room only if there are any; letters and legends stand where they belong; no name is cut."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFont

from strokereg.core.scan.pictures import CALLED, TRUTH, Key, Sheet, SheetRow
from strokereg.core.scan.sheet import wrap, write_sheet
from strokereg.core.scan.view import Convention
from strokereg.registry.errors import InputError

WHITE, BLACK = (np.full((300, 500), value, np.uint8) for value in (255, 0))
WARNING, GREY = (138, 59, 0), np.full((300, 500), 90, np.uint8)


def pixels(tmp_path, rows, **changes) -> np.ndarray:
    path = write_sheet(Sheet(**{"title": "", "rows": rows, **changes}), tmp_path / "sheet.png")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def same(picture, colour) -> np.ndarray:
    return (picture == colour).all(axis=-1)


def test_texts_take_room_only_if_there_are_any(tmp_path):
    bare = pixels(tmp_path, [SheetRow("", [BLACK, None])])
    assert bare.shape[1] == 12 + 500 + 6 + 500 + 12
    assert same(bare, 0)[12:312, 12:512].mean() > 0.99
    for changes in (
        {"title": "sub-01"},
        {"caption": "4.20 ml"},
        {"columns": ["DWI"]},
        {"legend": [Key("lesion", TRUTH)]},
        {"warning": "simulated"},
        {"rows": [SheetRow("", [BLACK, None], ["name"])]},
    ):
        assert len(pixels(tmp_path, **{"rows": [SheetRow("", [BLACK, None])], **changes})) > len(bare)
    assert pixels(tmp_path, [SheetRow("first", [BLACK, None])]).shape[1] > bare.shape[1] + 20


def test_legend_and_warning_are_in_their_colours(tmp_path):
    picture = pixels(tmp_path, [SheetRow("", [GREY])], legend=[Key("found", CALLED), Key("white matter", TRUTH, True)])
    below = picture[12 + 300 :]
    assert same(below, CALLED).sum() == 12 * 12 - 8 * 8
    assert same(below, TRUTH).sum() == 10 * 10  # in a frame, so that light colours are seen on paper
    assert not same(picture, WARNING).any()
    assert same(pixels(tmp_path, [SheetRow("", [GREY])], warning="simulated training"), WARNING).sum() > 50


@pytest.mark.parametrize("convention", list(Convention))
def test_the_letters_of_the_sides_stand_on_every_picture(convention, tmp_path):
    first, second = pixels(tmp_path, [SheetRow("", [GREY, GREY])], convention=convention), None
    letters = {}
    for letter in "RL":
        tile = Image.new("RGB", (40, 40), (90, 90, 90))
        from PIL import ImageDraw

        font = ImageFont.load_default(15)
        ImageDraw.Draw(tile).text((4, 20), letter, "white", font, "lm", stroke_width=2, stroke_fill="black")
        letters[letter] = np.asarray(tile).astype(int)
    for start in (12, 12 + 506):
        left = first[12 + 130 : 12 + 170, start : start + 40]
        assert np.array_equal(left, letters[convention.sides[0]])
        right = first[12 + 130 : 12 + 170, start + 460 : start + 500]
        assert same(right, 255).any()
    second = pixels(tmp_path, [SheetRow("", [GREY], sides=("P", "A")), SheetRow("", [GREY])])
    assert not np.array_equal(second[142:182, 12:52], second[142 + 306 : 182 + 306, 12:52])


def test_smaller_pictures_are_centred(tmp_path):
    small = np.full((100, 200, 3), 255, np.uint8)
    picture = pixels(tmp_path, [SheetRow("", [BLACK, small])])
    ys, xs = np.nonzero(same(picture[:320, 520:], 255))
    assert (ys.min(), ys.max()) == (12 + 100, 12 + 199)
    assert (xs.min() + 520, xs.max() + 520) == (518 + 150, 518 + 349)


def test_a_text_can_stand_in_place_of_a_picture(tmp_path):
    picture = pixels(tmp_path, [SheetRow("", [GREY, "damaged or truncated " * 9])])
    assert same(picture[12:312, 518:1018], WARNING).sum() > 200
    assert same(pixels(tmp_path, [SheetRow("", ["cannot be read"])]), WARNING).any()


def test_lines_break_between_words_and_names_at_their_joints():
    assert wrap("clinical + synthetic", 90) == ["clinical +", "synthetic"]
    assert wrap("carvemix: sub-0127", 90) == ["carvemix:", "sub-0127"]
    assert wrap("sub-strokecase0009_ses-0001", 130) == ["sub-", "strokecase0009_", "ses-0001"]
    assert wrap("a\nb", 90) == ["a", "b"]
    assert wrap("", 90) == []
    (cut,) = wrap("immeasurable" * 5, 90)
    assert cut.endswith("…")


def test_wrong_places_are_one_sentence(tmp_path):
    sheet = Sheet(title="", rows=[SheetRow("", [np.zeros((3, 3), np.uint8)])])
    with pytest.raises(InputError, match="the sheet is a PNG; give a name"):
        write_sheet(sheet, tmp_path / "a.pdf")
    with pytest.raises(InputError, match="cannot be written"):
        write_sheet(sheet, tmp_path / "absent" / "a.png")
