"""A sheet for visual checks of label maps: scan and labels at half the height of the brain and through the lesion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.grid import brain_median
from strokereg.core.scan.pictures import SheetRow, label_colours, radiological, window
from strokereg.core.scan.sheet import write_sheet

_WHITE = 2.5  # intensity that is drawn white, in brain medians


def draw_tissues(cases: Sequence[CaseFiles], table: LabelTable, path: Path, most: int = 12) -> Path:
    """Draw cases spread evenly over a cohort, `most` at most. All of them must have a label map."""
    chosen = np.unique(np.linspace(0, len(cases) - 1, min(most, len(cases))).round().astype(int))
    rows = [_row(cases[index], table) for index in chosen]
    contrast = cases[0].first
    shown = "DWI" if contrast == "dwi" else contrast
    columns = (shown, "tissues", f"{shown}, lesion", "tissues, lesion")
    return write_sheet({"title": "", "caption": "", "columns": columns, "rows": rows}, path)


def _row(files: CaseFiles, table: LabelTable) -> SheetRow:
    case = read_case(files, table=table)
    assert case.labels is not None
    turn = nib.orientations.io_orientation(case.reference.affine)
    image, labels = (nib.orientations.apply_orientation(data, turn) for data in (case.reference.data, case.labels))
    heights = np.flatnonzero(labels.any(axis=(0, 1)))
    middle = int(heights[len(heights) // 2]) if len(heights) else labels.shape[2] // 2
    lesion = (labels == table.lesion).sum(axis=(0, 1))
    pictures, white = [], _WHITE * (brain_median(case.reference.data) or 1.0)
    for z in (middle, int(lesion.argmax()) if lesion.any() else middle):
        pictures.append(window(radiological(image[:, :, z].T), 0.0, white))
        pictures.append(label_colours(radiological(labels[:, :, z].T), table.count))
    return {"label": case.name.removeprefix("sub-"), "images": pictures}
