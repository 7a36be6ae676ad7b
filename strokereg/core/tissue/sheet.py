"""A sheet to look label maps over: scan and labels, through the ventricles and through the lesion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from strokereg.core.cohort.case import Case, CaseFiles, read_case
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.grid import brain_median
from strokereg.core.scan.pictures import SheetRow, label_colours, radiological, window
from strokereg.core.scan.sheet import write_sheet

_WHITE = 2.5  # brain medians
_COLUMNS = ("DWI", "tissues", "DWI, lesion", "tissues, lesion")


def draw_tissues(files: Sequence[CaseFiles], table: LabelTable, path: Path, most: int = 12) -> Path:
    """Draw cases spread evenly over a cohort, at most so many; `files` have their label maps."""
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, min(most, len(files))).round().astype(int))]
    rows: list[SheetRow] = [
        {"label": case.name.removeprefix("sub-"), "images": _row(read_case(case, table=table), table)}
        for case in chosen
    ]
    return write_sheet({"title": "", "caption": "", "columns": _COLUMNS, "rows": rows}, path)


def _row(case: Case, table: LabelTable) -> list[np.ndarray]:
    """Two axial slices of a case, radiological view: half way up the brain, and where most lesion is."""
    assert case.labels is not None
    turn = nib.orientations.io_orientation(case.dwi.affine)
    dwi, labels = (nib.orientations.apply_orientation(data, turn) for data in (case.dwi.data, case.labels))
    heights = np.flatnonzero(labels.any(axis=(0, 1)))
    middle = int(heights[len(heights) // 2]) if len(heights) else labels.shape[2] // 2
    lesion = (labels == table.lesion).sum(axis=(0, 1))
    pictures = []
    for z in (middle, int(lesion.argmax()) if lesion.any() else middle):
        pictures.append(window(radiological(dwi[:, :, z].T), 0.0, _WHITE * (brain_median(case.dwi.data) or 1.0)))
        pictures.append(label_colours(radiological(labels[:, :, z].T), table.count))
    return pictures
