"""The sheet of label maps: two slices of each case, of twelve cases at most."""

from __future__ import annotations

from PIL import Image

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.pictures import TRUTH
from strokereg.core.scan.view import Convention
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


def test_headings_fit_the_pictures(phantom, flair_cohort, tmp_path, monkeypatch):
    """A volume has two slices, a single slice is not shown twice, and a case without lesion says so."""
    drawn = []
    monkeypatch.setattr("strokereg.core.tissue.sheet.write_sheet", lambda sheet, path: drawn.append(sheet))
    volumes, slices = open_cohort(phantom), open_cohort(flair_cohort)
    draw_tissues(volumes.cases, volumes.table, tmp_path / "a.png")
    draw_tissues(slices.cases, slices.table, tmp_path / "b.png", convention=Convention.NEUROLOGICAL)
    assert drawn[0].columns == ("DWI, mid-brain", "labels, mid-brain", "DWI, lesion", "labels, lesion")
    assert drawn[1].columns == ("FLAIR", "labels")
    for sheet, cohort in zip(drawn, (volumes, slices), strict=True):
        assert {len(row.images) for row in sheet.rows} == {len(sheet.columns)}
        assert [key.name for key in sheet.legend] == list(cohort.table.names[1:])
    assert [sheet.convention for sheet in drawn] == list(Convention)
