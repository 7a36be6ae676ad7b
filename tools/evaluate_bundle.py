"""Evaluate an exported segmenter on real scans with expert masks and on scans without lesion, as a table.

Usage: python tools/evaluate_bundle.py MODEL... --lesions FOLDER... --healthy FOLDER... [--picture FILE.png]

Folders are cohorts or layouts that `strokereg data import` recognises. For each case the table names the Dice, the
lesion-wise F1 and both volumes; healthy scans have only the volume that was called. The picture shows each case of one
model, failures first, with the expert's outline and the model's.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.open import read_folder
from strokereg.core.evaluate.metrics import CaseMetrics, score
from strokereg.core.scan.grid import foreground
from strokereg.core.scan.nifti import Volume, read_volume
from strokereg.core.scan.pictures import CALLED, TRUTH, Key, Sheet, SheetRow, outline, window
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.scan.view import Convention, axial
from strokereg.export.runtime.segmenter import Segmentation, Segmenter, load

_SLICES, _TILE = 4, 150  # a row of the picture; pixels along the longer side of a slice
_SIDE = Convention.RADIOLOGICAL


@dataclass(frozen=True)
class Result:
    """A case and what the model called in it.

    Attributes:
        truth: expert mask, bool [X, Y, Z]; None for a healthy scan.
        metrics: None for a healthy scan.
    """

    name: str
    scan: Volume
    found: Segmentation
    truth: np.ndarray | None = None
    metrics: CaseMetrics | None = None

    @classmethod
    def of(cls, segmenter: Segmenter, files: CaseFiles) -> Result:
        """Segment a case, and score it if it has an expert mask."""
        paths = {channel: files.images[channel] for channel in segmenter.bundle.channels}
        found = segmenter.segment({channel: str(path) for channel, path in paths.items()})
        scan, name = read_volume(next(iter(paths.values()))), files.subject.removeprefix("sub-")
        if files.mask is None:
            return cls(name, scan, found)
        mask = read_volume(files.mask)
        return cls(name, scan, found, mask.data > 0, score(found.mask, mask.data > 0, mask.spacing))

    @property
    def quality(self) -> float:
        """What failures are sorted by: the Dice; below any Dice for a healthy scan in which something is called."""
        return self.metrics.dice if self.metrics else -self.found.volume_ml

    def row(self, model: str) -> str:
        """The line of the table."""
        skull = "taken away" if any("skull" in warning for warning in self.found.warnings) else ""
        if self.metrics is None:
            return f"| {model} | {self.name} | | | {self.found.volume_ml:.2f} | | {skull} |"
        one = self.metrics
        scores = f"{one.dice:.2f} | {one.lesion_f1:.2f} | {one.predicted_ml:.2f} | {one.volume_ml:.2f}"
        return f"| {model} | {self.name} | {scores} | {skull} |"

    def pictures(self) -> list[SheetRow]:
        """The scan, and below it the same slices with both outlines: those with most that was missed or called."""
        image, called = (axial(volume, self.scan.affine) for volume in (self.scan.data, self.found.mask))
        truth = np.zeros_like(called) if self.truth is None else axial(self.truth, self.scan.affine)
        wrong, either = (part.sum(axis=(1, 2)) for part in (called ^ truth, called | truth))
        most = np.argsort(wrong + 0.5 * either, kind="stable")[::-1][:_SLICES]
        chosen = sorted(int(z) for z in most if either[z])
        inside = foreground(image)
        rows, columns = (np.flatnonzero(inside.any(axis=axes)) for axes in ((0, 2), (0, 1)))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        bright = float(np.percentile(image[image > 0], 99.5))
        scale = -(-_TILE // max(part.stop - part.start for part in box))
        plain = [window(_SIDE.turn(image[z][box]), 0.0, bright, scale) for z in chosen]
        drawn = [
            outline(outline(picture, _SIDE.turn(truth[z][box]), TRUTH), _SIDE.turn(called[z][box]), CALLED)
            for picture, z in zip(plain, chosen, strict=True)
        ]
        said = "healthy" if self.metrics is None else f"Dice {self.metrics.dice:.2f}, {self.metrics.volume_ml:.1f} ml"
        captions = [f"slice {z + 1} of {len(image)}" for z in chosen]
        below = f"{said}\ncalled {self.found.volume_ml:.1f} ml"
        return [SheetRow(self.name, plain, captions), SheetRow(below, drawn)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", help="files or names of bundles")
    parser.add_argument("--lesions", type=Path, nargs="*", default=[])
    parser.add_argument("--healthy", type=Path, nargs="*", default=[])
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    print("| model | case | Dice | lesion F1 | called, ml | expert, ml | skull |")
    print("|---|---|---|---|---|---|---|")
    for model in given.models:
        segmenter, name = load(model), Path(model).stem
        cases = [case for folder in (*given.lesions, *given.healthy) for case in read_folder(folder).cases]
        results = sorted((Result.of(segmenter, case) for case in cases), key=lambda result: result.quality)
        for result in results:
            print(result.row(name))
        if scores := [result.metrics.dice for result in results if result.metrics]:
            print(f"| {name} | mean of {len(scores)} | {np.mean(scores):.2f} | | | | |")
        if given.picture:
            sheet = Sheet(
                title=f"{name} on real scans, failures first",
                rows=[row for result in results for row in result.pictures()],
                legend=[Key("expert", TRUTH), Key("called by the model", CALLED)],
                warning="Trained on simulated images: research only, not a medical device.",
            )
            write_sheet(sheet, given.picture)


if __name__ == "__main__":
    main()
