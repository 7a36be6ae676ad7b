"""The sheet of a cohort: a tile for each case, and the error of a case that cannot be read."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from strokereg.core.cohort.checks.sheet import draw_cases
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.scan.pictures import TRUTH
from strokereg.registry.errors import InputError

LEGEND = 12 * 12 - 8 * 8  # pixels of the frame beside the word


def colours(path):
    with Image.open(path) as sheet:
        return sheet.size, {colour: count for count, colour in sheet.convert("RGB").getcolors(1 << 20)}


def test_every_case_has_a_tile_with_its_lesion(phantom, tmp_path):
    cases = open_cohort(phantom).cases
    one, seen = colours(*draw_cases(cases[:1], tmp_path / "one.png"))
    many, _ = colours(*draw_cases(cases * 3, tmp_path / "many.png"))
    assert seen[TRUTH] > LEGEND
    assert many[0] > 3 * one[0]
    assert many[1] > 1.5 * one[1]


def test_cases_without_lesion_or_mask_or_image_are_drawn(phantom, tmp_path):
    cases = open_cohort(shutil.copytree(phantom, tmp_path / "cohort")).cases
    mask = read_volume(cases[0].mask)
    write_volume(cases[0].mask, np.zeros_like(mask.data, np.uint8), mask.affine)
    cases[1].images["dwi"].write_bytes(b"no image")
    cases[2].mask.unlink()
    _, seen = colours(*draw_cases(open_cohort(tmp_path / "cohort").cases, tmp_path / "sheet.png"))
    assert seen[TRUTH] == LEGEND
    assert (138, 59, 0) in seen  # the error


def test_a_large_cohort_has_pages_that_a_viewer_opens(flair_cohort, tmp_path):
    cases = open_cohort(flair_cohort).cases
    pages = draw_cases(cases * 11, tmp_path / "sheet.png")
    assert [page.name for page in pages] == ["sheet.png", "sheet-2.png"]
    (wide, high), seen = colours(pages[0])
    assert seen[TRUTH] > LEGEND
    assert max(wide, high) < 4000
    assert colours(pages[1])[0][1] < high / 5


def test_places_that_cannot_be_written(phantom, tmp_path):
    cases = open_cohort(phantom).cases
    with pytest.raises(InputError, match=r"sheet\.jpg: the sheet is a PNG"):
        draw_cases(cases, tmp_path / "sheet.jpg")
    with pytest.raises(InputError, match=r"absent/sheet\.png: cannot be written"):
        draw_cases(cases, tmp_path / "absent" / "sheet.png")
