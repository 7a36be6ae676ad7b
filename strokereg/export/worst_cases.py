"""A sheet of the cases that segmenters do worst: the scan, the true outline and that of each segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strokereg.core.report.segmenter_scores import SegmenterEvaluation
from strokereg.core.scan.nifti import Volume
from strokereg.core.scan.pictures import CALLED, TRUTH, Key, Outlined, Sheet, SheetRow, window
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.scan.view import Convention, axial
from strokereg.core.study.pictures import white

SHOWN = 8


@dataclass(frozen=True)
class Slice:
    """The axial slice of a case with most wrong voxels: image float [Y, X], truth and masks bool [Y, X]."""

    image: np.ndarray
    white: float
    truth: np.ndarray
    called: Mapping[str, np.ndarray]


def worst_slice(scan: Volume, truth: np.ndarray, called: Mapping[str, np.ndarray]) -> Slice:
    """Cut the slice that shows most errors; without any error, the one with most lesion.

    Args:
        truth: bool [X, Y, Z].
        called: name of a segmenter → its mask, bool [X, Y, Z].
    """
    image, real = (axial(volume, scan.affine) for volume in (scan.data, truth))
    found = {name: axial(mask, scan.affine) for name, mask in called.items()}
    wrong = np.sum([(mask ^ real).sum(axis=(1, 2)) for mask in found.values()], axis=0)
    area = wrong * real[0].size + real.sum(axis=(1, 2))
    z = int(area.argmax()) if area.any() else len(area) // 2
    # Copies, because a view would keep the whole volume in memory.
    return Slice(image[z].copy(), white(image), real[z].copy(), {name: mask[z].copy() for name, mask in found.items()})


def draw_worst(
    evaluated: SegmenterEvaluation,
    slices: Mapping[str, Slice],
    path: Path,
    convention: Convention = Convention.RADIOLOGICAL,
) -> Path:
    """Draw the worst cases, worst first, with the scores below each picture.

    Args:
        slices: name of a case → its slice.
    """
    rows: list[SheetRow] = []
    turn = convention.turn
    for name in evaluated.worst(SHOWN):
        shown, scored = slices[name], [one.cases[name] for one in evaluated.segmenters]
        plain = window(turn(shown.image), 0.0, shown.white)
        pictures = [plain, Outlined(plain, turn(shown.truth), TRUTH)]
        pictures += [Outlined(plain, turn(shown.called[one.name]), CALLED) for one in evaluated.segmenters]
        captions = ["", f"{scored[0].volume_ml:.2f} ml"]
        captions += [f"Dice {one.dice:.2f}, {one.predicted_ml:.2f} ml" for one in scored]
        rows.append(SheetRow(name, pictures, captions))
    columns = ["scan", "truth", *(one.name for one in evaluated.segmenters)]
    sheet = Sheet(
        title=f"The cases of {evaluated.cohort} that went worst",
        caption="The slice of each case with most wrong voxels.",
        columns=columns,
        rows=rows,
        legend=[Key("true lesion", TRUTH), Key("predicted lesion", CALLED)],
        warning="Simulated cohort: these are not clinical numbers." if evaluated.simulated else "",
        convention=convention,
    )
    return write_sheet(sheet, path)
