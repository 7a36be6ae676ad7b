"""Pictures for quality control: slices as a radiologist sees them, with the lesion outlined."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from strokereg.core.scan.grid import foreground
from strokereg.core.scan.pictures import CALLED, label_colours, outline, radiological, window
from strokereg.core.scan.sheet import write_sheet

_SLICES = 6


def draw_mask(path: Path, scan: np.ndarray, mask: np.ndarray, affine: np.ndarray, title: str) -> Path:
    """Draw a scan [X, Y, Z] without and with the outline of a mask, at the slices with most lesion.

    Args:
        affine: of the scan, to turn slices into axial view.
        title: label of the row.
    """
    scan, mask = (_axial(volume, affine) for volume in (scan, mask))
    chosen = _slices(mask.sum(axis=(0, 1)), foreground(scan).any(axis=(0, 1)))
    bright = float(np.percentile(scan[scan > 0], 99.5))
    plain = [window(radiological(scan[:, :, z].T), 0.0, bright) for z in chosen]
    drawn = [outline(image, radiological(mask[:, :, z].T), CALLED) for image, z in zip(plain, chosen, strict=True)]
    return _write(path, chosen, [("scan", plain), (title, drawn)])


def draw_synthesis(path: Path, labels: np.ndarray, count: int, image: np.ndarray, affine: np.ndarray) -> Path:
    """Draw a label map [X, Y, Z] of `count` labels above its image, at the slices with most lesion."""
    labels, image = (_axial(volume, affine) for volume in (labels, image))
    chosen = _slices((labels == count - 1).sum(axis=(0, 1)), (labels > 0).any(axis=(0, 1)))
    bright = float(np.percentile(image[labels > 0], 99.5)) or 1.0
    above = [label_colours(radiological(labels[:, :, z].T), count) for z in chosen]
    below = [window(radiological(image[:, :, z].T), 0.0, bright) for z in chosen]
    return _write(path, chosen, [("labels", above), ("synthetic", below)])


def _axial(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """To the canonical order of axes: R, A, S."""
    return nib.orientations.apply_orientation(volume, nib.orientations.io_orientation(affine))


def _slices(amount: np.ndarray, brain: np.ndarray) -> list[int]:
    """Up to six slices from bottom to top: those with most lesion, or spread over the brain if there is none."""
    most = np.argsort(amount, kind="stable")[::-1][:_SLICES]
    chosen = [int(z) for z in most if amount[z] > 0]
    if not chosen:
        inside = np.flatnonzero(brain)
        chosen = [int(z) for z in np.quantile(inside, np.linspace(0.2, 0.8, _SLICES))]
    return sorted(set(chosen))


def _write(path: Path, chosen: list[int], rows: list[tuple[str, list[np.ndarray]]]) -> Path:
    return write_sheet(
        {
            "title": "",
            "caption": "",
            "columns": [f"slice {z + 1}" for z in chosen],
            "rows": [{"label": label, "images": images} for label, images in rows],
        },
        path,
    )
