"""A sheet for visual checks of a cohort: the slice of each case with the largest lesion area, outlined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.scan.grid import brain_median
from strokereg.core.scan.pictures import SheetRow, outline, radiological, window
from strokereg.core.scan.sheet import draw_error, write_sheet
from strokereg.registry.errors import InputError

_TILE, _COLUMNS, _ROWS = 240, 6, 10  # pixels; cases in a row; rows on a page
_WHITE = 2.5  # intensity that is drawn white, in brain medians


def draw_cases(cases: Sequence[CaseFiles], path: Path) -> list[Path]:
    """Draw the first image of each case in radiological view, with the lesion's outline, name and lesion volume.

    A case that cannot be read shows the error instead. Each page shows 60 cases: the first is `path`, the second
    `path` with `-2` before its ending.

    Returns:
        The pages.

    Raises:
        InputError: the path does not end in .png, or it cannot be written.
    """
    each = _COLUMNS * _ROWS
    pages = [cases[start : start + each] for start in range(0, max(len(cases), 1), each)]
    return [
        _draw_page(page, path if number == 1 else path.with_stem(f"{path.stem}-{number}"))
        for number, page in enumerate(pages, start=1)
    ]


def _draw_page(cases: Sequence[CaseFiles], path: Path) -> Path:
    tiles = [_draw(files) for files in cases]
    rows: list[SheetRow] = [
        {"label": "", "images": [picture for picture, _ in row], "captions": [caption for _, caption in row]}
        for row in (tiles[start : start + _COLUMNS] for start in range(0, len(tiles), _COLUMNS))
    ]
    return write_sheet({"title": "", "caption": "", "columns": (), "rows": rows}, path)


def _draw(files: CaseFiles) -> tuple[np.ndarray, str]:
    """Picture uint8 [H, W] or [H, W, 3] of a case, at most 240 pixels wide and high, and its caption."""
    try:
        case = read_case(files)
    except InputError as error:
        return draw_error(str(error).rpartition("/")[2], _TILE), f"{files.name}\ncannot be read"
    orientation = nib.orientations.io_orientation(case.reference.affine)
    image = nib.orientations.apply_orientation(case.reference.data, orientation)
    mask = None if case.mask is None else nib.orientations.apply_orientation(case.mask, orientation)
    level, found = image.shape[2] // 2, "no lesion mask"
    if mask is not None:
        found = "mask without lesion"
        if mask.any():
            level = int(mask.sum(axis=(0, 1)).argmax())
            found = f"{float(mask.sum()) * case.reference.voxel_ml:.1f} ml, slice {level + 1} of {image.shape[2]}"
    plane = radiological(image[:, :, level].T)
    # Enlarged by whole numbers, so that scans of small and of large voxels are drawn at a similar size.
    scale = max(1, _TILE // max(plane.shape))
    picture = window(plane, 0.0, _WHITE * max(brain_median(case.reference.data), 1e-6), scale)
    if mask is not None and mask.any():
        picture = outline(picture, radiological(mask[:, :, level].T))
    tile = Image.fromarray(np.ascontiguousarray(picture))
    tile.thumbnail((_TILE, _TILE))
    return np.asarray(tile), f"{files.name}\n{found}"
