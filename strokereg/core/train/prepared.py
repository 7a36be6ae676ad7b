"""Prepared cases: scans on the network grid, as memory-mapped arrays in a cache keyed by content.

The key covers the bytes of the files, the preparation and the label table, so a change of any of them makes a new
entry. An entry is written to a temporary folder and renamed, so several processes can prepare the same case. The
temporary folder is locked while it is written. The lock ends with its process, so leftovers of killed processes can be
removed.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from strokereg.core.cohort.case import Case, CaseFiles, label_map, read_case
from strokereg.core.cohort.fingerprint import content_key
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.grid import Frame, Preparation, frame_of
from strokereg.core.scan.scaling import measure, normalise
from strokereg.core.storage.cache import cached, digest, file_digest
from strokereg.core.storage.workers import map_in_threads
from strokereg.registry.errors import InputError

_FORMAT = 3  # part of every key; raise it when the stored format changes
_BUILDING = ".building-"


@dataclass(frozen=True)
class PreparedCase:
    """A case on its network grid. Arrays are read on first use, so it is cheap to send to a worker.

    Attributes:
        folder: holds `image.npy`, `labels.npy` and, for a case that was prepared from a scan, `frame.json`.
        lesion: label of the lesion, the last of the table.
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

    @cached_property
    def mni_heights(self) -> np.ndarray | None:
        """MNI height of each axial plane in mm, [Z]; None unless the case was prepared from a scan in MNI space."""
        path = self.folder / "frame.json"
        kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"in_mni": False}
        if not kept["in_mni"]:
            return None
        count, y, x = self.labels.shape
        planes = np.stack(
            [np.full(count, (x - 1) / 2.0), np.full(count, (y - 1) / 2.0), np.arange(count), np.ones(count)]
        )
        heights: np.ndarray = (np.array(kept["affine"]) @ np.array(kept["matrix"]) @ planes)[2]
        return heights

    def give_back(self, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Resample an array [Z, Y, X] of this grid onto the scan: float32 [I, J, K] and the scan's 4×4 affine.

        Raises:
            InputError: the case was not prepared from a scan.
        """
        path = self.folder / "frame.json"
        if not path.is_file():
            raise InputError(
                f"{self.folder}: is a synthetic case, so there is no scan grid to go back to; give a scanned case"
            )
        kept = json.loads(path.read_text(encoding="utf-8"))
        affine, matrix, _ = (np.array(kept.pop(name)) for name in ("affine", "matrix", "in_mni"))
        frame = Frame(matrix=matrix, **{name: tuple(value) for name, value in kept.items()})
        return frame.back(prediction), affine

    def __reduce__(self) -> tuple[object, ...]:
        return PreparedCase, (self.name, self.folder, self.lesion)


def write_prepared(
    folder: Path,
    name: str,
    image: np.ndarray,
    labels: np.ndarray,
    lesion: int,
    frame: Frame | None = None,
    affine: np.ndarray | None = None,
    in_mni: bool = False,
) -> PreparedCase:
    """Write arrays as a prepared case, atomically; the first of several writers wins.

    Args:
        image: [C, Z, Y, X] in [-1, 1].
        labels: [Z, Y, X].
        lesion: label of the lesion.
        frame, affine: how to go back to the scan that the case came from, and that scan's 4×4 affine.
        in_mni: whether that scan is in MNI space.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = folder.with_name(f"{_BUILDING}{uuid.uuid4().hex}")
    with _lock_of(building):
        building.mkdir()
        np.save(building / "image.npy", image.astype(np.float32))
        np.save(building / "labels.npy", labels.astype(np.uint8))
        if frame is not None and affine is not None:
            way = {**asdict(frame), "matrix": frame.matrix.tolist(), "affine": affine.tolist(), "in_mni": in_mni}
            (building / "frame.json").write_text(json.dumps(way), encoding="utf-8")
        try:
            building.rename(folder)
        except OSError:  # another process wrote the same content first
            shutil.rmtree(building)
    _forget_lock(building)
    return PreparedCase(name, folder, lesion)


def clear_leftovers(folder: Path) -> int:
    """Remove temporary folders of killed processes directly under `folder`; those of running ones are locked.

    Returns:
        The number of folders removed.
    """
    removed = 0
    for building in folder.glob(f"{_BUILDING}*"):
        if not building.is_dir():
            continue  # a lock file, whose process may be about to create the folder
        try:
            with _lock_of(building, timeout=0):
                shutil.rmtree(building, ignore_errors=True)
        except Timeout:
            continue
        _forget_lock(building)
        removed += 1
    return removed


def _lock_of(building: Path, timeout: float = -1) -> FileLock:
    return FileLock(building.with_name(f"{building.name}.lock"), timeout=timeout)


def _forget_lock(building: Path) -> None:
    building.with_name(f"{building.name}.lock").unlink(missing_ok=True)


def prepare_image(
    case: Case, preparation: Preparation, gains: Sequence[float] | None = None
) -> tuple[np.ndarray, Frame]:
    """Images of a case on the network grid, float32 [C, Z, Y, X] in [-1, 1], and the frame for the way back.

    Args:
        gains: factors by which the brain's measured intensities are wrong, one a channel; by default 1.
    """
    frame = frame_of(case.reference, preparation)
    planes = []
    for channel, gain in zip(preparation.channels, gains or [1.0] * len(preparation.channels), strict=True):
        scan = case.images[channel]
        image = frame.image(scan.data, preparation.interpolation)
        planes.append(normalise(image, measure(scan, preparation) * np.float32(gain), preparation))
    return np.stack(planes), frame


def prepare_cases(
    files: Iterable[CaseFiles],
    preparation: Preparation,
    table: LabelTable,
    cache: Path,
    on_case: Callable[[str], None] = lambda name: None,
) -> list[PreparedCase]:
    """Prepare cases, or find them in the cache.

    Args:
        cache: folder of the cache; created if missing.
        on_case: called with the name of each prepared case.

    Raises:
        InputError: a case that cannot be read or does not fit together.
    """
    for folder in cache.glob("[0-9a-f][0-9a-f]"):
        clear_leftovers(folder)

    def one(case: CaseFiles) -> PreparedCase:
        prepared = _prepare(case, preparation, table, cache)
        on_case(case.name)
        return prepared

    return map_in_threads(one, files)


def fitting_size(files: Iterable[CaseFiles], preparation: Preparation, cache: Path) -> tuple[int, int, int]:
    """The smallest network grid (X, Y, Z) that holds the brain of every one of these cases."""

    def shape(case: CaseFiles) -> list[int]:
        # The key covers the image only: a changed mask does not change the grid.
        first = preparation.channels[0]
        content = file_digest(case.images[first], cache) if first in case.images else ""
        key = digest(["shape", _FORMAT, content, preparation.model_dump()])

        def measure_shape() -> list[int]:
            return list(frame_of(read_case(case, (first,)).reference, preparation).shape)

        return cached(cache / "shapes", key, measure_shape)

    z, y, x = np.max(map_in_threads(shape, files), axis=0)
    return int(x), int(y), int(z)


def check_cases(files: Iterable[CaseFiles], channels: tuple[str, ...]) -> None:
    """Read the cases for evaluation, so that a fault shows before the training and not after it.

    Raises:
        InputError: a case that cannot be read or does not fit together.
    """
    map_in_threads(lambda case: read_case(case, channels).name, files)  # the name only, so voxels are freed at once


def _prepare(files: CaseFiles, preparation: Preparation, table: LabelTable, cache: Path) -> PreparedCase:
    key = digest([_FORMAT, content_key(files, cache), preparation.model_dump(), table.names])
    entry = cache / key[:2] / key[2:34]
    if not entry.is_dir():
        case = read_case(files, preparation.channels, table)
        image, frame = prepare_image(case, preparation)
        labels = frame.labels(label_map(case, table), table.count)
        scan = case.reference
        write_prepared(entry, files.name, image, labels, table.lesion, frame, scan.affine, scan.in_mni)
    return PreparedCase(files.name, entry, table.lesion)
