"""A sheet for visual checks of a cohort: the slice of each case with the largest lesion area, outlined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.scan.grid import brain_median
from strokereg.core.scan.pictures import TRUTH, Cell, Key, Outlined, Sheet, SheetRow, pooled, window
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.scan.view import Convention, axial
from strokereg.registry.errors import InputError

_TILE, _COLUMNS, _ROWS = 240, 6, 10  # pixels; cases in a row; rows on a page
_WHITE = 2.5  # intensity that is drawn white, in brain medians


def draw_cases(cases: Sequence[CaseFiles], path: Path, convention: Convention = Convention.RADIOLOGICAL) -> list[Path]:
    """Draw the first image of each case, with the lesion's outline, name and lesion volume.

    A case that cannot be read shows the error instead. Each page shows 60 cases: the first is `path`, the second
    `path` with `-2` before its ending.

    Returns:
        The pages.

    Raises:
        InputError: the path does not end in .png, or it cannot be written.
    """
    each = _COLUMNS * _ROWS
    pages = [cases[start : start + each] for start in range(0, max(len(cases), 1), each)]
    drawn = []
    for number, page in enumerate(pages, start=1):
        tiles = [_draw(files, convention) for files in page]
        title = f"Cases {(number - 1) * each + 1} to {(number - 1) * each + len(page)} of {len(cases)}"
        sheet = Sheet(
            title=title,
            caption="The slice with the largest lesion area; without a lesion, the middle slice.",
            rows=[_row(tiles[start : start + _COLUMNS]) for start in range(0, len(tiles), _COLUMNS)],
            legend=[Key("lesion mask", TRUTH)],
            convention=convention,
        )
        drawn.append(write_sheet(sheet, path if number == 1 else path.with_stem(f"{path.stem}-{number}")))
    return drawn


def _row(tiles: Sequence[tuple[Cell, str]]) -> SheetRow:
    return SheetRow("", [picture for picture, _ in tiles], [caption for _, caption in tiles])


def _draw(files: CaseFiles, convention: Convention) -> tuple[Cell, str]:
    """The picture of a case, about 240 pixels wide or high, or its error; and its caption."""
    try:
        case = read_case(files)
    except InputError as error:
        return str(error).rpartition("/")[2], f"{files.name}\ncannot be read"
    image = axial(case.reference.data, case.reference.affine)
    mask = None if case.mask is None else axial(case.mask, case.reference.affine)
    level, found = len(image) // 2, "no lesion mask"
    if mask is not None:
        found = "mask without lesion"
        if mask.any():
            level = int(mask.sum(axis=(1, 2)).argmax())
            found = f"{float(mask.sum()) * case.reference.voxel_ml:.1f} ml, slice {level + 1} of {len(image)}"
    plane = convention.turn(image[level])
    # Shrunk or enlarged by whole numbers, so that scans of small and of large voxels are drawn at a similar size.
    step, scale = -(-max(plane.shape) // (2 * _TILE)), max(1, _TILE // max(plane.shape))
    white = _WHITE * max(brain_median(case.reference.data), 1e-6)
    picture = window(plane[::step, ::step], 0.0, white, scale)
    caption = f"{files.name}\n{found}"
    if mask is None or not mask.any():
        return picture, caption
    return Outlined(picture, pooled(convention.turn(mask[level]), (step, step)), TRUTH), caption
