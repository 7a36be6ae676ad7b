"""Evaluate an exported segmenter on real scans with expert masks and on scans without lesion, as a table.

Usage: python tools/evaluate_bundle.py MODEL... --lesions FOLDER... --healthy FOLDER...

Folders are cohorts or layouts that `strokereg data import` recognises. For each case the table names the contrasts, the
Dice, the lesion-wise F1, and both volumes; healthy scans have only the volume that was called.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from strokereg.core.cohort.open import read_folder
from strokereg.core.evaluate.metrics import score
from strokereg.core.scan.nifti import read_volume
from strokereg.export.runtime.segmenter import load


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", help="files or names of bundles")
    parser.add_argument("--lesions", type=Path, nargs="*", default=[])
    parser.add_argument("--healthy", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    print("| model | case | Dice | lesion F1 | called, ml | expert, ml | skull |")
    print("|---|---|---|---|---|---|---|")
    for model in given.models:
        segmenter = load(model)
        scores = []
        for folder in (*given.lesions, *given.healthy):
            for files in read_folder(folder).cases:
                paths = [files.images[channel] for channel in segmenter.bundle.channels]
                found = segmenter.segment(dict(zip(segmenter.bundle.channels, paths, strict=True)))
                skull = "taken away" if any("skull" in warning for warning in found.warnings) else ""
                if files.mask is None:
                    print(f"| {Path(model).stem} | {files.subject} | | | {found.volume_ml:.2f} | | {skull} |")
                    continue
                mask = read_volume(files.mask)
                result = score(found.mask, mask.data > 0, mask.spacing)
                scores.append(result)
                print(
                    f"| {Path(model).stem} | {files.subject} | {result.dice:.2f} | {result.lesion_f1:.2f} | "
                    f"{result.predicted_ml:.2f} | {result.volume_ml:.2f} | {skull} |"
                )
        if scores:
            mean = sum(result.dice for result in scores) / len(scores)
            print(f"| {Path(model).stem} | mean of {len(scores)} | {mean:.2f} | | | | |")


if __name__ == "__main__":
    main()
