"""The same scan under two names: found by its voxels, whatever its file, padding, storage order or scale.

A test case among the training cases makes every score worthless, and file names do not tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np

from strokereg.core.box import extent
from strokereg.core.case import CaseFiles
from strokereg.core.errors import InputError
from strokereg.core.memo import digest, file_digest, remember
from strokereg.core.nifti import Volume, read_volume

_BLOCKS = 16  # along each axis
_FEWEST = 30  # voxels of a mask that can hardly be two patients' by chance


def fingerprint(volume: Volume) -> str:
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


def outline(volume: Volume) -> str:
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


def refuse_leaks(parts: Mapping[str, Iterable[CaseFiles]], cache: Path) -> None:
    """Refuse a cohort in which two parts hold the same image or the same lesion.

    Args:
        parts: name of a part → its cases.
        cache: where fingerprints are kept, by the content of their files.

    Raises:
        InputError: names both cases, both parts and what they share.
    """
    labelled = [(part, case) for part, cases in parts.items() for case in cases]
    with ThreadPoolExecutor(max_workers=4) as pool:
        marks = list(pool.map(lambda item: _marks(item[1], cache), labelled))
    seen: dict[tuple[str, str], tuple[str, CaseFiles]] = {}
    for (part, case), found in zip(labelled, marks, strict=True):
        for mark in found.items():
            before, other = seen.setdefault(mark, (part, case))
            if before != part:
                raise InputError(
                    f"{case.images['dwi']}: has the same {mark[0]} as {other.name} of the {before} cases, but is "
                    f"among the {part} cases; keep a patient in one part (split.tsv), or take one of the two out"
                )


def _marks(case: CaseFiles, cache: Path) -> dict[str, str]:
    """What a case is known by: image and lesion."""
    found = {"image": cached(case.images["dwi"], "image", fingerprint, cache, case.volumes.get("dwi"))}
    if case.mask is not None:
        found["lesion mask"] = cached(case.mask, "outline", outline, cache)
    return {kind: mark for kind, mark in found.items() if mark}


def cached(path: Path, kind: str, measure: Callable[[Volume], str], cache: Path, volume: int | None = None) -> str:
    """The measure of a file, or of one volume of a 4D file, kept by the content of the file.

    Raises:
        InputError: a file that cannot be read.
    """
    if not path.is_file():
        return measure(read_volume(path))  # says what is wrong
    key = digest([file_digest(path, cache), kind, volume])
    return str(remember(cache / "fingerprints", key, lambda: measure(read_volume(path, volume))))
