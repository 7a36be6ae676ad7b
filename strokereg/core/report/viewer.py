"""Encode a scan for the slice viewer: the slices as one grey PNG, each mask as a black-and-white PNG of the same form.

This is smaller than NiiVue (about two megabytes, needs WebGL) and than nilearn's viewer (jQuery and brainsprite, one
overlay in colour). A mask takes a few kilobytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from strokereg.core.report.images import data_uri, hexed, picture_uri
from strokereg.core.scan.box import extent
from strokereg.core.scan.pictures import CALLED, TRUTH, pooled
from strokereg.core.scan.view import Convention

LONGEST, SLICES = 112, 80  # most voxels along a slice's longer side, and most slices; larger scans are downsampled
LEVELS = 64  # grey levels: more would not be visible, and the file would be twice as large


@dataclass(frozen=True)
class ViewerScan:
    """A scan and the masks to outline on it.

    Attributes:
        title: name of the case.
        part: the cohort of the case.
        image: [Z, Y, X], axes towards superior, anterior and right.
        white: intensity shown as white.
        spacing: voxel size in mm along X, Y, Z.
        truth: bool [Z, Y, X].
        called: arm → mask predicted by its segmenter, bool [Z, Y, X].
        convention: orientation in which the slices are shown.
    """

    title: str
    part: str
    image: np.ndarray
    white: float
    spacing: tuple[float, float, float]
    truth: np.ndarray
    called: Mapping[str, np.ndarray]
    convention: Convention = Convention.RADIOLOGICAL


def encode(volume: ViewerScan) -> str:
    """Encode a scan as JSON for the script of the page, downsampled and cropped to its non-black part.

    Volumes and the numbers of slices are those of the complete scan. In a downsampled mask, a voxel is lesion if any
    voxel of the scan in it is.
    """
    box = _around(volume.image > 0.05 * volume.white)
    step = max(1, math.ceil(max(volume.image[box].shape[1:]) / LONGEST))
    hop = max(1, math.ceil(volume.image[box].shape[0] / SLICES))
    part = tuple(slice(axis.start, axis.stop, by) for axis, by in zip(box, (hop, step, step), strict=True))
    grey = np.clip(volume.image[part] / volume.white, 0, 1) * (LEVELS - 1)
    grey = (grey.round() * (255 / (LEVELS - 1))).astype(np.uint8)
    truth = pooled(volume.truth[box], (hop, step, step))
    voxel = math.prod(volume.spacing) / 1000
    turn = volume.convention.turn
    count, height, width = grey.shape
    x, y, z = (edge * times for edge, times in zip(volume.spacing, (step, step, hop), strict=True))
    first = int(truth.sum(axis=(1, 2)).argmax()) if truth.any() else count // 2
    content = {
        "title": volume.title,
        "part": volume.part,
        "size": [width, height, count],
        "columns": _columns(count),
        "spacing": [x, y, z],
        "first": first,
        "slices": [box[0].start + 1, hop, len(volume.image)],
        "sides": volume.convention.sides,
        "colours": [hexed(TRUTH), hexed(CALLED)],
        "image": data_uri(montage(turn(grey))),
        "truth": _mask_uri(turn(truth)),
        "called": {name: _mask_uri(turn(pooled(mask[box], (hop, step, step)))) for name, mask in volume.called.items()},
        "ml": {"truth": volume.truth.sum() * voxel, "called": {n: m.sum() * voxel for n, m in volume.called.items()}},
    }
    return json.dumps(content, ensure_ascii=False)


def montage(volume: np.ndarray) -> np.ndarray:
    """Slices [Z, Y, X] side by side in rows."""
    count, height, width = volume.shape
    columns = _columns(count)
    rows = math.ceil(count / columns)
    whole = np.zeros((rows * columns, height, width), dtype=volume.dtype)
    whole[:count] = volume
    return whole.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def _mask_uri(mask: np.ndarray) -> str:
    return picture_uri(Image.fromarray(montage(mask)))


def _around(inside: np.ndarray, margin: int = 2) -> tuple[slice, ...]:
    """The box around the True voxels, with a margin; the complete volume if there are none."""
    if not inside.any():
        return tuple(slice(0, size) for size in inside.shape)
    ends = zip(extent(inside), inside.shape, strict=True)
    return tuple(slice(max(0, int(low) - margin), min(size, int(high) + 1 + margin)) for (low, high), size in ends)
