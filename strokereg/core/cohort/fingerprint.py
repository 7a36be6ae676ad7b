"""What a scan or a mask is known by: its voxels, whatever its file, padding, storage order or scale.

A test case among the training cases makes every score worthless, and file names do not tell. What is made of it stands
in `core.cohort.checks.duplicates`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.box import extent
from strokereg.core.scan.nifti import Volume, read_volume
from strokereg.core.storage.cache import cached, digest, file_digest

_BLOCKS = 16  # along each axis
_FEWEST = 30  # voxels of a mask that can hardly be two patients' by chance


def image_fingerprint(volume: Volume) -> str:
    """What an image is known by: which of 4,096 blocks of it are brighter than their median; empty for no image.

    The blocks divide the box of voxels that are not zero, on canonical axes. Of two patients, or of one with other
    noise, some block differs; scaling and rounding change none.
    """
    inner = _inner(volume)
    if inner is None:
        return ""
    blocks = inner.astype(np.float64)
    for axis in range(3):
        edges = np.unique(np.linspace(0, inner.shape[axis], _BLOCKS, endpoint=False).astype(int))
        blocks = np.add.reduceat(blocks, edges, axis=axis)
    bright = blocks > np.median(blocks[blocks != 0])
    return _digest(inner.shape, np.packbits(bright))


def mask_fingerprint(volume: Volume) -> str:
    """What a mask is known by, or the brain of a label map: the voxels that are not zero; empty where few are."""
    inner = _inner(volume)
    if inner is None or np.count_nonzero(inner) < _FEWEST:
        return ""
    return _digest(inner.shape, np.packbits(inner != 0))


def _inner(volume: Volume) -> np.ndarray | None:
    """The box of voxels that are not zero, on canonical axes."""
    data = nib.orientations.apply_orientation(volume.data, nib.orientations.io_orientation(volume.affine))
    return data[tuple(slice(low, high + 1) for low, high in extent(data != 0))] if np.any(data) else None


def _digest(shape: tuple[int, ...], bits: np.ndarray) -> str:
    return hashlib.sha256(str(shape).encode() + bits.tobytes()).hexdigest()


def marks_of(volumes: Mapping[str, Volume]) -> dict[str, str]:
    """What a case is known by: its `image` and its `lesion mask`, as far as they say anything.

    Args:
        volumes: its parts; `dwi` and `mask` are looked at.
    """
    found = {}
    if "dwi" in volumes:
        found["image"] = image_fingerprint(volumes["dwi"])
    if "mask" in volumes:
        found["lesion mask"] = mask_fingerprint(volumes["mask"])
    return {kind: mark for kind, mark in found.items() if mark}


def cached_fingerprint(path: Path, kind: str, measure: Callable[[Volume], str], cache: Path) -> str:
    """The measure of a file that belongs to no case, kept by the content of the file.

    Raises:
        InputError: a file that cannot be read.
    """
    if not path.is_file():
        return measure(read_volume(path))  # says what is wrong
    key = digest([file_digest(path, cache), kind])
    return str(cached(cache / "fingerprints", key, lambda: measure(read_volume(path))))


def content_keys(files: Iterable[CaseFiles], cache: Path) -> dict[str, str]:
    """Case name → digest of the bytes of all its files; the cache remembers those of files that did not change."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return dict(pool.map(lambda case: (case.name, content_key(case, cache)), files))


def content_key(files: CaseFiles, cache: Path) -> str:
    """Digest of the bytes of all files of a case."""
    return digest({part: file_digest(path, cache) for part, path in files.parts.items()})
