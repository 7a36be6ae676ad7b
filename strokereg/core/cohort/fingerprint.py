"""Fingerprints of scans and masks: the same voxels give the same one, whatever the file, padding, axes or scale.

A test case among the training cases makes every score worthless, and file names do not show it. The fingerprints are
compared in `core.cohort.checks.duplicates`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.box import extent
from strokereg.core.scan.nifti import Volume, read_volume
from strokereg.core.storage.cache import cached, digest, file_digest
from strokereg.core.storage.workers import map_in_threads

_BLOCKS = 16  # along each axis
_FEWEST = 30  # voxels of a mask; smaller ones could agree by chance


def image_fingerprint(volume: Volume) -> str:
    """Fingerprint of an image; empty if all voxels are zero.

    It records which of 4,096 blocks are brighter than the median block. The blocks divide the box of non-zero voxels on
    canonical axes. Another patient or other noise changes some block; scaling and rounding change none.
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
    """Fingerprint of a mask, or of the brain in a label map: its non-zero voxels; empty if there are fewer than 30."""
    inner = _inner(volume)
    if inner is None or np.count_nonzero(inner) < _FEWEST:
        return ""
    return _digest(inner.shape, np.packbits(inner != 0))


def slice_fingerprints(volume: Volume) -> str:
    """Fingerprints of all axial slices of a mask with at least 30 voxels, in one text with spaces between them."""
    data = nib.orientations.apply_orientation(volume.data, nib.orientations.io_orientation(volume.affine))
    found = []
    for z in range(data.shape[2]):
        plane = data[:, :, z : z + 1] != 0
        if np.count_nonzero(plane) >= _FEWEST:
            inner = plane[tuple(slice(low, high + 1) for low, high in extent(plane))]
            found.append(_digest(inner.shape, np.packbits(inner)))
    return " ".join(found)


def _inner(volume: Volume) -> np.ndarray | None:
    """The box of non-zero voxels, on canonical axes."""
    data = nib.orientations.apply_orientation(volume.data, nib.orientations.io_orientation(volume.affine))
    return data[tuple(slice(low, high + 1) for low, high in extent(data != 0))] if np.any(data) else None


def _digest(shape: tuple[int, ...], bits: np.ndarray) -> str:
    return hashlib.sha256(str(shape).encode() + bits.tobytes()).hexdigest()


def case_fingerprints(volumes: Mapping[str, Volume]) -> dict[str, str]:
    """Fingerprints of a case under `image` and `lesion mask`; empty ones are left out.

    Args:
        volumes: parts of the case; the first image and `mask` are used.
    """
    found = {}
    if (first := next((part for part in volumes if part not in ("mask", "dseg")), None)) is not None:
        found["image"] = image_fingerprint(volumes[first])
    if "mask" in volumes:
        found["lesion mask"] = mask_fingerprint(volumes["mask"])
    return {kind: fingerprint for kind, fingerprint in found.items() if fingerprint}


def cached_fingerprint(path: Path, kind: str, measure: Callable[[Volume], str], cache: Path) -> str:
    """Fingerprint of a file that belongs to no case, cached by the content of the file.

    Args:
        path: a NIfTI file.
        kind: name of `measure`, part of the key.
        measure: `image_fingerprint` or `mask_fingerprint`.
        cache: folder of all caches.

    Raises:
        InputError: the file cannot be read.
    """
    if not path.is_file():
        return measure(read_volume(path))  # raises a clear error
    key = digest([file_digest(path, cache), kind])
    return str(cached(cache / "fingerprints", key, lambda: measure(read_volume(path))))


def content_keys(files: Iterable[CaseFiles], cache: Path) -> dict[str, str]:
    """Case name → digest of the bytes of all its files. Digests of unchanged files come from the cache."""
    return dict(map_in_threads(lambda case: (case.name, content_key(case, cache)), files))


def content_key(files: CaseFiles, cache: Path) -> str:
    """Digest of the bytes of all files of a case."""
    return digest({part: file_digest(path, cache) for part, path in files.parts.items()})
