"""Prepared cases: scans on the network grid, as memory-mapped arrays in a cache keyed by content.

The key covers the bytes of the files, the preparation and the label table: change any of them and another
entry is made; call again and nothing is done. An entry is built in a temporary folder and renamed, so two
processes that prepare the same case do not harm each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from strokereg.core.case import Case, CaseFiles, read_case
from strokereg.core.errors import FileFault, InputError
from strokereg.core.grid import Frame, Preparation, brain_median, frame_of, normalise
from strokereg.core.labels import LabelTable

_FORMAT = 1  # part of every key: raise it when what is stored changes


@dataclass(frozen=True)
class PreparedCase:
    """A case on its network grid, read from its folder when first asked for; cheap to send to a worker.

    Attributes:
        folder: holds `image.npy` and `labels.npy`.
        lesion: the lesion's label, the last of the table.
    """

    name: str
    folder: Path
    lesion: int

    @cached_property
    def image(self) -> np.ndarray:
        """float32 [C, Z, Y, X] in [-1, 1], memory-mapped."""
        return np.load(self.folder / "image.npy", mmap_mode="r")

    @cached_property
    def labels(self) -> np.ndarray:
        """uint8 [Z, Y, X], memory-mapped."""
        return np.load(self.folder / "labels.npy", mmap_mode="r")

    @cached_property
    def mask(self) -> np.ndarray:
        """Lesion, bool [Z, Y, X]."""
        return np.asarray(self.labels) == self.lesion

    def __reduce__(self) -> tuple[object, ...]:
        return PreparedCase, (self.name, self.folder, self.lesion)


def write_prepared(folder: Path, name: str, image: np.ndarray, labels: np.ndarray, lesion: int) -> PreparedCase:
    """Write arrays as a prepared case: in a temporary folder, then renamed; the first of two writers wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = folder.with_name(f".building-{uuid.uuid4().hex}")
    building.mkdir()
    np.save(building / "image.npy", image.astype(np.float32))
    np.save(building / "labels.npy", labels.astype(np.uint8))
    try:
        building.rename(folder)
    except OSError:  # another process was first with the same content
        shutil.rmtree(building)
    return PreparedCase(name, folder, lesion)


def prepare_image(case: Case, preparation: Preparation) -> tuple[np.ndarray, Frame]:
    """Bring the images of a case before a network: float32 [C, Z, Y, X] in [-1, 1], and the way back."""
    frame = frame_of(case.dwi, preparation)
    planes = []
    for channel in preparation.channels:
        scan = case.images[channel]
        median = brain_median(scan.data)
        if median <= 0:
            raise InputError(f"{scan.path}: has no positive voxels; give an image with the brain in it")
        planes.append(normalise(frame.image(scan.data), median, preparation.ceiling))
    return np.stack(planes), frame


def prepare_cases(
    files: Iterable[CaseFiles],
    preparation: Preparation,
    table: LabelTable,
    cache: Path,
    on_progress: Callable[[str], None] = lambda name: None,
) -> list[PreparedCase]:
    """Prepare cases, or find them prepared.

    Args:
        cache: folder of the cache; made when missing.
        on_progress: called with each case's name as it is ready.

    Raises:
        InputError: a case that cannot be read or does not fit together.
    """

    def one(case: CaseFiles) -> PreparedCase:
        prepared = _prepare(case, preparation, table, cache)
        on_progress(case.name)
        return prepared

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, files))


def fitting_size(files: Iterable[CaseFiles], preparation: Preparation) -> tuple[int, int, int]:
    """The smallest network grid (X, Y, Z) that holds the brain of every one of these cases."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        shapes = list(pool.map(lambda f: frame_of(read_case(f).dwi, preparation).shape, files))
    z, y, x = np.max(shapes, axis=0)
    return int(x), int(y), int(z)


def check_cases(files: Iterable[CaseFiles], channels: tuple[str, ...]) -> None:
    """Read cases that are only judged on, so that a fault shows before the training and not after it.

    Raises:
        InputError: a case that cannot be read or does not fit together.
    """
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for _ in pool.map(lambda case: read_case(case, channels).name, files):  # the name: voxels are let go at once
            pass


def content_keys(files: Iterable[CaseFiles]) -> dict[str, str]:
    """Case name → digest of the bytes of all its files."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return dict(pool.map(lambda case: (case.name, _content(case)), files))


def digest(content: object) -> str:
    """SHA-256 of plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _prepare(files: CaseFiles, preparation: Preparation, table: LabelTable, cache: Path) -> PreparedCase:
    key = digest([_FORMAT, _content(files), preparation.model_dump(), table.names])
    entry = cache / key[:2] / key[2:34]
    if not entry.is_dir():
        case = read_case(files, preparation.channels, table)
        assert case.labels is not None
        image, frame = prepare_image(case, preparation)
        write_prepared(entry, files.name, image, frame.labels(case.labels, table.count), table.lesion)
    return PreparedCase(files.name, entry, table.lesion)


def _content(files: CaseFiles) -> str:
    parts = {**files.images, "mask": files.mask, "dseg": files.dseg}
    return digest({name: _bytes_of(path) for name, path in parts.items() if path is not None})


def _bytes_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FileFault(path, f"cannot be read ({error.strerror})", "see whether the file is there") from error
