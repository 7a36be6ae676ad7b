"""A sheet for the human check: each case at the slice where its lesion is largest, outlined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.open import read_folder
from strokereg.core.scan.grid import brain_median
from strokereg.core.scan.pictures import outline, radiological, window
from strokereg.core.storage.files import replacing
from strokereg.registry.errors import InputError

_TILE, _CAPTION, _GAP, _COLUMNS = 240, 34, 6, 6
_PAPER, _INK, _FAULT = (18, 18, 18), (235, 235, 235), (240, 120, 110)
_CEILING = 2.5  # brain medians that are white


def draw_cases(cases: Sequence[CaseFiles], path: Path) -> Path:
    """Draw one tile a case: DWI with the lesion's outline, as radiologists view it, with name and volume.

    A case that cannot be read is a tile that says so.

    Raises:
        InputError: another ending than .png, or a place that cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise InputError(f"--sheet {path}: the sheet is a PNG; give a name that ends in .png")
    columns = min(_COLUMNS, len(cases))
    rows = -(-len(cases) // columns)
    step = (_TILE + _GAP, _TILE + _CAPTION + _GAP)
    page = Image.new("RGB", (columns * step[0] + _GAP, rows * step[1] + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for number, files in enumerate(cases):
        left, top = _GAP + number % columns * step[0], _GAP + number // columns * step[1]
        try:
            tile, said = _tile(files)
        except InputError as error:
            fault = str(error).rpartition("/")[2]
            pen.multiline_text((left + 4, top + 4), _wrapped(fault), _FAULT, font)
            tile, said = None, "cannot be read"
        if tile is not None:
            page.paste(tile, (left + (_TILE - tile.width) // 2, top + (_TILE - tile.height) // 2))
        pen.text((left + 2, top + _TILE + 1), files.name, _INK, font)
        pen.text((left + 2, top + _TILE + 16), said, _INK, font)
    try:
        with replacing(path) as temporary:
            page.save(temporary, optimize=True)
    except OSError as error:
        raise InputError(f"--sheet {path}: cannot be written ({error.strerror}); choose another folder") from error
    return path


def _tile(files: CaseFiles) -> tuple[Image.Image, str]:
    """Picture and caption of a case."""
    case = read_case(files)
    orientation = nib.orientations.io_orientation(case.dwi.affine)  # type: ignore[no-untyped-call]
    dwi = _upright(case.dwi.data, orientation)
    mask = None if case.mask is None else _upright(case.mask, orientation)
    with_lesion = mask is not None and bool(mask.any())
    level = int(mask.sum(axis=(0, 1)).argmax()) if mask is not None and with_lesion else dwi.shape[2] // 2
    plane = radiological(dwi[:, :, level].T)
    # In steps of the in-plane voxel, so that a scan of 0.9 mm and one of 2 mm are drawn equally large.
    scale = max(1, _TILE // max(plane.shape))
    picture = window(plane, 0.0, _CEILING * max(brain_median(case.dwi.data), 1e-6), scale)
    if mask is not None and with_lesion:
        picture = outline(picture, radiological(mask[:, :, level].T))
    if mask is None:
        said = "no lesion mask"
    elif not with_lesion:
        said = "mask without lesion"
    else:
        said = f"{float(mask.sum()) * case.dwi.voxel_ml:.1f} ml, slice {level + 1} of {dwi.shape[2]}"
    tile = Image.fromarray(np.ascontiguousarray(picture)).convert("RGB")
    tile.thumbnail((_TILE, _TILE))
    return tile, said


def _upright(data: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Axes turned to run nearest to R, A, S."""
    return nib.orientations.apply_orientation(data, orientation)  # type: ignore[no-untyped-call, no-any-return]


def _wrapped(text: str, width: int = 36) -> str:
    words, lines = text.split(), [""]
    for word in words:
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [*lines, word]
    return "\n".join(lines[:12])


def draw_data(folder: Path | str, path: Path | str) -> Path:
    """Draw each case's slice with the largest lesion area, outlined, on one sheet.

    Raises:
        InputError: a folder that is no cohort, no readable case, or a file that cannot be written.
    """
    from strokereg.core.cohort.checks.sheet import draw_cases

    return draw_cases(read_folder(folder).cases, Path(path))
