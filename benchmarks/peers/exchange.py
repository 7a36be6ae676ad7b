"""The folder through which strokereg and its peers talk: files only, so neither needs the other installed.

    OUT/peers.json                              where all came from, and the grid
    OUT/nnUNet_raw/Dataset001_peers/            imagesTr, labelsTr (training and validation), imagesTs, imagesEx
    OUT/nnUNet_preprocessed/Dataset001_peers/   splits_final.json: one fold, the cohort's own split
    OUT/predictions/RUN/                        val, test, external: lesion probabilities; training.json: what ran

Imports nothing but numpy and nibabel, which both environments have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

DATASET = "Dataset001_peers"
PARTS = ("val", "test", "external")


class Exchange:
    """The folder of one arm."""

    def __init__(self, out: Path):
        self.out = out.resolve()
        self.facts_file = self.out / "peers.json"
        self.raw = self.out / "nnUNet_raw" / DATASET
        self.preprocessed = self.out / "nnUNet_preprocessed" / DATASET
        self.split_file = self.preprocessed / "splits_final.json"

    @property
    def facts(self) -> dict[str, Any]:
        """What `convert.py` noted: cohort, grid, number of cases."""
        return json.loads(self.facts_file.read_text(encoding="utf-8"))

    @property
    def split(self) -> dict[str, list[str]]:
        """Names of the `train` and `val` cases."""
        return json.loads(self.split_file.read_text(encoding="utf-8"))[0]

    def image(self, name: str) -> Path:
        """The image of a training or validation case."""
        return self.raw / "imagesTr" / f"{name}_0000.nii.gz"

    def label(self, name: str) -> Path:
        """The lesion mask of a training or validation case."""
        return self.raw / "labelsTr" / f"{name}.nii.gz"

    def write_run(self, name: str, predict: Callable[[Path], np.ndarray], training: Mapping[str, Any]) -> Path:
        """Predict all cases that are evaluated and note what ran; returns the run's folder.

        Args:
            predict: image file → lesion probability [X, Y, Z].
        """
        run = self.out / "predictions" / name
        images = {
            "val": [self.image(case) for case in self.split["val"]],
            "test": sorted((self.raw / "imagesTs").iterdir()),
            "external": sorted((self.raw / "imagesEx").iterdir()),
        }
        for part in PARTS:
            (run / part).mkdir(parents=True, exist_ok=True)
            for path in images[part]:
                probability = predict(path).astype(np.float32)
                image = nib.Nifti1Image(probability, nib.load(path).affine)
                nib.save(image, run / part / path.name.replace("_0000", ""))
        (run / "training.json").write_text(json.dumps(training, indent=2), encoding="utf-8")
        return run
