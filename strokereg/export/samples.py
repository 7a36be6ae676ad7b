"""Cases of a cohort: as inputs of a graph, and what their scans look like. No torch here."""

from __future__ import annotations

from itertools import islice

import numpy as np

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.cohort import Cohort
from strokereg.core.scan.appearance import Appearance, Ranges, appearance_of, ranges_of
from strokereg.core.scan.grid import frame_of
from strokereg.core.scan.scaling import measure
from strokereg.core.scan.series import read_image
from strokereg.core.storage.workers import map_in_threads
from strokereg.core.train.record import Record
from strokereg.registry.errors import InputError
from strokereg.registry.specs import Role

CASES = 2  # for parity
GATE_CASES = 20  # for the loss of a lower precision
CALIBRATION_CASES = 8  # for the ranges of int8
APPEARANCE_CASES = 32  # for what the training scans look like


def samples_of(
    record: Record, cohort: Cohort, noise: int | None = None, part: str = "val", count: int = CASES
) -> list[dict[str, np.ndarray]]:
    """Graph inputs of a cohort's validation cases, or of its first cases if it has no split.

    Args:
        record: of the run, for role, dims, channels, labels and preparation.
        cohort: opened.
        noise: width of the network's noise vector, for translators that take one.
        part: `train` gives training cases instead, or the last cases if the cohort has no split.
        count: cases at most.

    Returns:
        One dict for each case (see `export.graph` for names and shapes); nothing for a generator.

    Raises:
        InputError: a missing contrast, or for a translator no fitting label maps.
    """
    if record.role == Role.GENERATOR:
        return []
    rng = np.random.default_rng(2)
    return [
        _image(record, files) if record.role == Role.SEGMENTER else _labels(record, cohort, files, noise, rng)
        for files in islice(_part(cohort, part), count)
    ]


def cases_of(cohort: Cohort, part: str = "val", count: int = GATE_CASES) -> list[CaseFiles]:
    """The first cases of a part of a cohort, or of the cohort if it has no split."""
    return list(islice(_part(cohort, part), count))


def ranges_of_cases(record: Record, cohort: Cohort, count: int = APPEARANCE_CASES) -> dict[str, Ranges]:
    """Contrast → what the scans of a run's training cases look like, measured on some of them, evenly spread.

    Args:
        count: cases at most.

    Raises:
        InputError: a scan that cannot be read.
    """
    cases = tuple(_part(cohort, "train"))[: record.cohort.get("training_cases")]
    chosen = cases[:: max(1, -(-len(cases) // count))]

    def look(files: CaseFiles) -> dict[str, Appearance | None]:
        given = {name: files.images[name] for name in record.preparation.channels if name in files.images}
        return {name: appearance_of(read_image(path, name, files.volumes.get(name))) for name, path in given.items()}

    found = map_in_threads(look, chosen)
    measured = {name: ranges_of(case.get(name) for case in found) for name in record.preparation.channels}
    return {name: ranges for name, ranges in measured.items() if ranges}


def _part(cohort: Cohort, part: str) -> tuple[CaseFiles, ...]:
    if cohort.split is not None:
        return cohort.part(part)
    # Without a split all cases may have been seen; at least ranges and loss come from different cases.
    return cohort.cases[::-1] if part == "train" else cohort.cases


def _image(record: Record, files: CaseFiles) -> dict[str, np.ndarray]:
    preparation = record.preparation
    case = read_case(files, preparation.channels)
    scans = [case.images[name] for name in preparation.channels]
    frame = frame_of(case.reference, preparation)
    image = np.stack([frame.image(scan.data, preparation.interpolation) for scan in scans])
    measured = np.stack([measure(scan, preparation) for scan in scans])[None]
    items = image.transpose(1, 0, 2, 3) if record.problem.dims == 2 else image[None]
    return {"image": np.ascontiguousarray(items), preparation.measured: np.repeat(measured, len(items), axis=0)}


def _labels(
    record: Record, cohort: Cohort, files: CaseFiles, noise: int | None, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    if cohort.table is None or cohort.table.names != record.labels:
        raise InputError(
            f"{cohort.root}: its label table is not the run's; give the cohort that the run was trained on"
        )
    case = read_case(files, record.preparation.channels[:1], cohort.table)
    if case.labels is None:
        raise InputError(f"{cohort.root}: {case.name} has no tissue label map; give a cohort with label maps")
    labels = frame_of(case.reference, record.preparation).labels(case.labels, cohort.table.count).astype(np.int64)
    inputs = {"labels": labels if record.problem.dims == 2 else labels[None]}
    if noise:
        inputs["noise"] = rng.standard_normal((len(inputs["labels"]), noise), dtype=np.float32)
    return inputs
