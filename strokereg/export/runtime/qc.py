"""Pictures for quality control: the slices with most lesion, with name, volume, outline and legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from strokereg.core.scan.grid import foreground
from strokereg.core.scan.nifti import Volume
from strokereg.core.scan.pictures import CALLED, Key, Outlined, Sheet, SheetRow, label_colours, label_legend, window
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.scan.view import axial

_SLICES = 6
_TILE = 240  # pixels, about, along the longer side of a slice
_MARGIN = 3  # voxels around the brain


def draw_mask(path: Path, scan: Volume, mask: np.ndarray, sheet: Sheet) -> Path:
    """Draw a scan without and with the outline of a mask [X, Y, Z] on its grid, at the slices with most lesion.

    Args:
        sheet: title, caption, warning and convention; the pictures are filled in.
    """
    turn = sheet.convention.turn
    image, found = (axial(volume, scan.affine) for volume in (scan.data, mask))
    brain = foreground(image)
    chosen = _slices(found.sum(axis=(1, 2)), brain.any(axis=(1, 2)))
    bright = float(np.percentile(image[image > 0], 99.5))
    box = _around(brain | found)
    planes = [turn(image[z][box]) for z in chosen]
    plain = [window(plane, 0.0, bright, _scale(plane)) for plane in planes]
    masks = [turn(found[z][box]) for z in chosen]
    drawn = [Outlined(picture, part, CALLED) for picture, part in zip(plain, masks, strict=True)]
    rows = [SheetRow("scan", plain), SheetRow("segmented", drawn)]
    legend = [Key("lesion found by the model", CALLED)]
    return write_sheet(replace(sheet, rows=rows, columns=_headings(chosen, len(image)), legend=legend), path)


def draw_synthesis(path: Path, labels: Volume, names: Sequence[str], image: np.ndarray, sheet: Sheet) -> Path:
    """Draw a label map above its synthetic image [X, Y, Z], at the slices with most lesion.

    Args:
        names: of all labels; the last one is the lesion.
        sheet: see `draw_mask`.
    """
    turn = sheet.convention.turn
    tissue, made = (axial(volume, labels.affine) for volume in (labels.data.astype(np.int64), image))
    brain = tissue > 0
    chosen = _slices((tissue == len(names) - 1).sum(axis=(1, 2)), brain.any(axis=(1, 2)))
    bright = float(np.percentile(made[brain], 99.5)) or 1.0
    box = _around(brain)
    planes = [turn(tissue[z][box]) for z in chosen]
    above = [label_colours(plane, len(names), _scale(plane)) for plane in planes]
    below = [window(turn(made[z][box]), 0.0, bright, _scale(planes[0])) for z in chosen]
    rows = [SheetRow("labels", above), SheetRow("synthetic", below)]
    columns = _headings(chosen, len(made))
    return write_sheet(replace(sheet, rows=rows, columns=columns, legend=label_legend(names)), path)


def _slices(amount: np.ndarray, brain: np.ndarray) -> list[int]:
    """Up to six slices from bottom to top: those with most lesion, or spread over the brain if there is none."""
    most = np.argsort(amount, kind="stable")[::-1][:_SLICES]
    chosen = [int(z) for z in most if amount[z] > 0]
    if not chosen:
        inside = np.flatnonzero(brain)
        chosen = [int(z) for z in np.quantile(inside, np.linspace(0.2, 0.8, _SLICES))]
    return sorted(set(chosen))


def _headings(chosen: Sequence[int], count: int) -> list[str]:
    return [f"slice {z + 1} of {count}" for z in chosen]


def _around(inside: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of slices that show something of a volume [Z, Y, X]."""
    rows, columns = (np.flatnonzero(inside.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    first, last = (slice(max(0, int(span[0]) - _MARGIN), int(span[-1]) + 1 + _MARGIN) for span in (rows, columns))
    return first, last


def _scale(plane: np.ndarray) -> int:
    return max(1, round(_TILE / max(plane.shape)))
