"""Transforms for MONAI: this file is `scripts/lesions.py` of every bundle, and runs without strokereg.

The computation is in `scripts/scan.py` and `scripts/window.py`, which are strokereg's own functions.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor, decollate_batch
from monai.inferers import Inferer
from monai.transforms import MapTransform
from scripts.scan import InputError, Volume, brain_median, frame_of, postprocess
from scripts.window import slide


class ScanInferer(Inferer):
    """Raw scans on their own grid → lesion probability on the same grid.

    Args:
        spacing, size, multiple: of the network grid; see `preparation` in the metadata.
        patch: windows of the network, [Z,] Y, X.
        flips: mean with the left-right mirror image.
        overlap, sigma: of neighbouring windows and of their Gaussian weights.
    """

    def __init__(
        self, spacing: list, size: list, multiple: list, patch: list, flips: bool, overlap: float, sigma: float
    ) -> None:
        self.preparation = SimpleNamespace(spacing=spacing, size=size, multiple=multiple)
        self.patch, self.flips, self.overlap, self.sigma = tuple(patch), flips, overlap, sigma

    def __call__(self, inputs: MetaTensor, network: Any, *args: Any, **kwargs: Any) -> list[MetaTensor]:
        """`inputs` [N, C, X, Y, Z] as `LoadImaged` and a data loader give them → N probabilities [1, X, Y, Z]."""
        return [self.one(scan, network) for scan in decollate_batch(inputs)]

    def one(self, scan: MetaTensor, network: Any) -> MetaTensor:
        """A scan [C, X, Y, Z] → probability [1, X, Y, Z]."""
        path = Path(str(scan.meta.get("filename_or_obj", "scan")))
        affine = np.asarray(scan.affine, dtype=np.float64)
        volumes = [Volume(np.asarray(channel, dtype=np.float32), affine, path) for channel in scan.cpu().numpy()]
        frame = frame_of(volumes[0], self.preparation)
        median = np.array([[brain_median(volume.data) for volume in volumes]], dtype=np.float32)
        if not (median > 0).all():
            raise InputError(f"{path}: holds no positive voxels; give an image with the brain in it")
        image = np.stack([frame.image(volume.data) for volume in volumes])
        device = next(network.parameters()).device

        def run(windows: np.ndarray) -> np.ndarray:
            medians = np.repeat(median, len(windows), axis=0)
            with torch.inference_mode():
                return network(torch.from_numpy(windows).to(device), torch.from_numpy(medians).to(device)).cpu().numpy()

        probability = frame.back(slide(run, image, self.patch, self.flips, self.overlap, self.sigma))
        return MetaTensor(torch.from_numpy(probability[None]), affine=scan.affine, meta=scan.meta)


class Threshold(MapTransform):
    """Lesion probability [1, X, Y, Z] → mask uint8 [1, X, Y, Z].

    Args:
        keys: of the probabilities.
        threshold: lesion from this probability on.
        smallest_ml: connected components below this volume are dropped.
    """

    def __init__(self, keys: str, threshold: float, smallest_ml: float) -> None:
        super().__init__(keys)
        self.rule = SimpleNamespace(threshold=threshold, smallest_ml=smallest_ml)

    def __call__(self, data: dict) -> dict:
        done = dict(data)
        for key in self.key_iterator(done):
            given = done[key]
            voxel_ml = float(abs(np.linalg.det(np.asarray(given.affine)[:3, :3]))) / 1000.0
            mask = postprocess(given.cpu().numpy()[0], self.rule, voxel_ml)
            done[key] = MetaTensor(torch.from_numpy(mask[None].astype(np.uint8)), affine=given.affine, meta=given.meta)
        return done
