"""The sheet of label maps: two slices of each case, of twelve cases at most."""

from __future__ import annotations

from PIL import Image

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.pictures import TRUTH
from strokereg.core.tissue.sheet import draw_tissues


def size(path):
    with Image.open(path) as image:
        return image.size


def test_cases_are_spread_over_the_cohort(phantom, tmp_path):
    cohort = open_cohort(phantom)
    one = size(draw_tissues(cohort.cases[:1], cohort.table, tmp_path / "one.png"))
    two = size(draw_tissues(cohort.cases, cohort.table, tmp_path / "two.png", most=2))
    many = size(draw_tissues(cohort.cases * 5, cohort.table, tmp_path / "many.png"))
    row = two[1] - one[1]
    assert many[1] == one[1] + 11 * row
    with Image.open(tmp_path / "one.png") as image:
        assert TRUTH in {colour for _, colour in image.convert("RGB").getcolors(1 << 20)}
