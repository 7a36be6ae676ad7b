"""A scan for the slice-through viewer: its slices as one grey PNG, its masks as black-and-white ones of the same form.

NiiVue (about two megabytes and WebGL) and nilearn's viewer (jQuery and brainsprite, one overlay in colour) were the
alternatives; a strip of slices and a page of script is smaller than either, and a mask costs some kilobytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from strokereg.core.scan.box import extent
from strokereg.core.scan.pictures import CALLED, TRUTH, data_uri, picture_uri

LONGEST, SLICES = 112, 80  # voxels of a slice's longer side, and slices; larger scans are thinned out
LEVELS = 64  # of grey: the eye cannot distinguish more here, and the file is half as large


@dataclass(frozen=True)
class ViewerScan:
    """A scan with what is outlined on it.

    Attributes:
        title: of the case.
        part: of which cohort it is.
        image: [Z, Y, X], axes towards superior, anterior and right.
        white: intensity shown white.
        spacing: voxel size in mm along X, Y, Z.
        truth: bool [Z, Y, X].
        called: arm → what its segmenter outlines, bool [Z, Y, X].
    """

    title: str
    part: str
    image: np.ndarray
    white: float
    spacing: tuple[float, float, float]
    truth: np.ndarray
    called: Mapping[str, np.ndarray]


def encode(volume: ViewerScan) -> str:
    """A volume as the JSON that the page's script reads, thinned out and cut to what is not black."""
    box = _around(volume.image > 0.05 * volume.white)
    step = max(1, math.ceil(max(volume.image[box].shape[1:]) / LONGEST))
    hop = max(1, math.ceil(volume.image[box].shape[0] / SLICES))
    part = tuple(slice(axis.start, axis.stop, by) for axis, by in zip(box, (hop, step, step), strict=True))
    grey = np.clip(volume.image[part] / volume.white, 0, 1) * (LEVELS - 1)
    grey = (grey.round() * (255 / (LEVELS - 1))).astype(np.uint8)
    truth = volume.truth[part]
    count, height, width = grey.shape
    x, y, z = (edge * times for edge, times in zip(volume.spacing, (step, step, hop), strict=True))
    first = int(truth.sum(axis=(1, 2)).argmax()) if truth.any() else count // 2
    said = {
        "title": volume.title,
        "part": volume.part,
        "size": [width, height, count],
        "columns": _columns(count),
        "spacing": [x, y, z],
        "first": first,
        "colours": [_colour(TRUTH), _colour(CALLED)],
        "image": data_uri(montage(grey)),
        "truth": _mask_uri(truth),
        "called": {name: _mask_uri(mask[part]) for name, mask in volume.called.items()},
    }
    return json.dumps(said, ensure_ascii=False)


def montage(volume: np.ndarray) -> np.ndarray:
    """Slices [Z, Y, X] side by side in rows, each in radiological view: anterior up, the right side on the left."""
    count, height, width = volume.shape
    columns = _columns(count)
    rows = math.ceil(count / columns)
    whole = np.zeros((rows * columns, height, width), dtype=volume.dtype)
    whole[:count] = volume[:, ::-1, ::-1]
    return whole.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def _mask_uri(mask: np.ndarray) -> str:
    return picture_uri(Image.fromarray(montage(mask)))


def _colour(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


def _around(inside: np.ndarray, margin: int = 2) -> tuple[slice, ...]:
    """The part of a volume that shows anything; the whole where all is black."""
    if not inside.any():
        return tuple(slice(0, size) for size in inside.shape)
    ends = zip(extent(inside), inside.shape, strict=True)
    return tuple(slice(max(0, int(low) - margin), min(size, int(high) + 1 + margin)) for (low, high), size in ends)
