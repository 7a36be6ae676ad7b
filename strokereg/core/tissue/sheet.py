"""A sheet for visual checks of label maps: scan and labels at half the height of the brain and through the lesion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.grid import brain_median
from strokereg.core.scan.pictures import SCALE, Cell, Sheet, SheetRow, label_colours, label_legend, window
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.scan.view import Convention, axial

_WHITE = 2.5  # intensity that is drawn white, in brain medians
_TILE = 400  # pixels along the longer side of a slice, at most


def draw_tissues(
    cases: Sequence[CaseFiles],
    table: LabelTable,
    path: Path,
    most: int = 12,
    convention: Convention = Convention.RADIOLOGICAL,
) -> Path:
    """Draw cases spread evenly over a cohort, `most` at most. All of them must have a label map.

    Cases of a single slice take two columns, all others four.
    """
    chosen = np.unique(np.linspace(0, len(cases) - 1, min(most, len(cases))).round().astype(int))
    contrast = cases[0].first
    shown = "DWI" if contrast == "dwi" else contrast
    rows = [_row(cases[index], table, convention) for index in chosen]
    columns: tuple[str, ...] = (shown, "labels")
    where = ""
    if any(len(row.images) > len(columns) for row in rows):
        columns = (f"{shown}, mid-brain", "labels, mid-brain", f"{shown}, lesion", "labels, lesion")
        where = " Left: half-way up the brain. Right: the slice with the largest lesion area."
    sheet = Sheet(
        title="Tissue label maps",
        caption=f"{len(chosen)} of {len(cases)} cases, spread evenly.{where}",
        columns=columns,
        rows=rows,
        legend=label_legend(table.names),
        convention=convention,
    )
    return write_sheet(sheet, path)


def _row(files: CaseFiles, table: LabelTable, convention: Convention) -> SheetRow:
    case = read_case(files, table=table)
    assert case.labels is not None
    image, labels = (axial(data, case.reference.affine) for data in (case.reference.data, case.labels))
    heights = np.flatnonzero(labels.any(axis=(1, 2)))
    middle = int(heights[len(heights) // 2]) if len(heights) else len(labels) // 2
    lesion = (labels == table.lesion).sum(axis=(1, 2))
    white = _WHITE * (brain_median(case.reference.data) or 1.0)
    cells: list[Cell] = []
    scale = min(SCALE, max(1, _TILE // max(image.shape[1:])))
    for z in (middle, int(lesion.argmax())) if len(image) > 1 else (0,):
        cells.append(window(convention.turn(image[z]), 0.0, white, scale))
        cells.append(label_colours(convention.turn(labels[z]), table.count, scale))
    if not lesion.any():
        cells[2:] = ["no lesion"] * len(cells[2:])
    return SheetRow(case.name.removeprefix("sub-"), cells)
