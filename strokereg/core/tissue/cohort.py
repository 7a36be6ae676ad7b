"""Giving a cohort its tissue label maps: case by case, in parallel, resumed where it stopped."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.cohort import Cohort, open_cohort
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.layout import DESCRIPTION
from strokereg.core.scan.nifti import write_volume
from strokereg.core.storage.files import replacing, write_json
from strokereg.core.storage.workers import end_with_parent
from strokereg.core.tissue.external import Merge, find_map, merge_map
from strokereg.registry.errors import InputError, RunFailed

FOLDER = Path("derivatives") / "tissues"
METHODS = ("hmrf", "kmeans", "atlas", "external")
_MAKER = "strokereg data label"
_RECIPE = 2  # goes up with every change that changes labels


@dataclass(frozen=True)
class Job:
    """One case to label, where its map goes, and for `external` the map of the other tool."""

    case: CaseFiles
    target: Path
    method: str
    merge: Merge
    other: Path | None


@dataclass(frozen=True)
class Labelled:
    """What `label_cohort` did.

    Attributes:
        folder: the derivatives folder.
        table: its labels.
        made, found, kept: cases labelled now, by an earlier call, and those that have a map from elsewhere.
        maps: case → its map of this folder, in the cohort's order.
    """

    folder: Path
    table: LabelTable
    made: int
    found: int
    kept: int
    maps: dict[str, Path]


def label_cohort(
    root: Path | str,
    method: str = "hmrf",
    label_table: Path | None = None,
    maps: Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Labelled:
    """Write tissue label maps for the cases of a BIDS cohort that have none, under `derivatives/tissues`.

    Called again it goes on with the cases that are missing.

    Args:
        method: one of `METHODS`.
        label_table, maps: of `external`; see `core.tissue.external`.
        overwrite: make again what an earlier call made; maps from elsewhere are never touched.
        workers: processes; None for one a core. It changes nothing in the result.
        on_progress: called with (finished, all) after every case.

    Raises:
        InputError: no BIDS cohort, a case without lesion mask, options that do not go together, maps of another method
            or table there already, or a case that cannot be labelled; what was made before it stays.
    """
    cohort = open_cohort(root)
    merge = _check_options(method, label_table, maps)
    _check_cohort(cohort, merge.table, overwrite)
    folder = cohort.root / FOLDER
    settings = {"recipe": _RECIPE, "method": method, "labels": list(merge.table.names)}
    if label_table:
        settings["table"] = hashlib.sha256(label_table.read_bytes()).hexdigest()[:16]
    targets = {case.name: _target(cohort, case) for case in cohort.cases}
    mine = [case for case in cohort.cases if case.dseg is None or case.dseg == targets[case.name]]
    jobs = [
        Job(case, targets[case.name], method, merge, find_map(maps, case.name) if maps else None)
        for case in mine
        if overwrite or not targets[case.name].is_file()
    ]
    if not overwrite:
        _check_same(folder, settings)
    for job in jobs:
        job.target.unlink(missing_ok=True)  # so that a call that is interrupted leaves no map of other settings
    _open(folder, settings)
    found = len(mine) - len(jobs)
    on_progress(found, len(mine))
    _run(jobs, workers or os.cpu_count() or 1, lambda done: on_progress(found + done, len(mine)))
    made = {case.name: targets[case.name] for case in mine}
    return Labelled(folder, merge.table, len(jobs), found, len(cohort.cases) - len(mine), made)


def label_case(job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Labels of one case on its own grid, uint8 [I, J, K], and its 4×4 affine.

    Raises:
        InputError: a case that cannot be read, or that does not look like a brain.
    """
    from strokereg.core.tissue.classes import METHODS as CLASSIFIERS
    from strokereg.core.tissue.scan import take_scan

    case = read_case(job.case, tuple(name for name in ("dwi", "adc") if name in job.case.images))
    if job.other is not None:
        return merge_map(case, job.other, job.merge), case.dwi.affine
    scan = take_scan(case, _b_value(job.case.images["dwi"]))
    return scan.restore(CLASSIFIERS[job.method](scan)), case.dwi.affine


def _do(job: Job) -> None:
    labels, affine = label_case(job)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    write_volume(job.target, labels, affine)


def _run(jobs: list[Job], workers: int, on_done: Callable[[int], None]) -> None:
    workers = min(workers, len(jobs))
    if workers < 2:
        for number, job in enumerate(jobs):
            _do(job)
            on_done(number + 1)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        try:
            for number, done in enumerate(as_completed([pool.submit(_do, job) for job in jobs])):
                done.result()
                on_done(number + 1)
        except BrokenProcessPool as error:
            raise RunFailed(
                "a worker process died, for want of memory perhaps; use fewer --workers to go on"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _check_options(method: str, label_table: Path | None, maps: Path | None) -> Merge:
    if method not in METHODS:
        raise InputError(f"--method {method}: no such method; the methods are {', '.join(METHODS)}")
    if method != "external":
        if maps or label_table:
            raise InputError(f"--method {method}: takes neither --maps nor --label-table; add --method external")
        return Merge()
    if maps is None:
        raise InputError("--method external: needs the folder of the other tool's maps; name it with --maps")
    if not maps.is_dir():
        raise InputError(f"--maps {maps}: no such folder; give the one that holds a label map a case")
    return Merge.read(label_table) if label_table else Merge()


def _check_cohort(cohort: Cohort, table: LabelTable, overwrite: bool) -> None:
    if not (cohort.root / DESCRIPTION).is_file():
        raise InputError(
            f"{cohort.root}: not a BIDS cohort, so label maps have no place in it; "
            f"import it first with 'strokereg data import {cohort.root} --out COHORT'"
        )
    for case in cohort.cases:
        if case.mask is None:
            raise InputError(
                f"{cohort.root}: {case.name} has no lesion mask, and a lesion must not be taken for tissue; add the "
                "mask (all zero where there is no lesion)"
            )
        if overwrite and case.dseg is not None and case.dseg != _target(cohort, case):
            raise InputError(f"{case.dseg}: was not made by '{_MAKER}' and is not overwritten; leave --overwrite out")
    if cohort.table is not None and cohort.table != table:
        ours = (cohort.root / FOLDER / "dseg.tsv").is_file()
        if not (ours and overwrite):
            raise InputError(
                f"{cohort.root}: has a label table of other labels ({', '.join(cohort.table.names)}); one cohort has "
                "one table, so remove its label maps and dseg.tsv first"
            )


def _check_same(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse to go on in a folder of other settings."""
    path = folder / DESCRIPTION
    if not path.is_file():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["GeneratedBy"][0].get("Settings")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: was not written by '{_MAKER}'; move its folder away") from error
    if before != settings:
        method = (before or {}).get("method", "something else")
        raise InputError(f"{folder}: holds label maps made otherwise ({method}); add --overwrite to make them anew")


def _open(folder: Path, settings: dict[str, Any]) -> None:
    """Write what makes it a derivatives folder with a label table."""
    path = folder / DESCRIPTION
    made_by = {"Name": _MAKER, "Version": metadata.version("strokereg"), "Settings": settings}
    description = {
        "Name": "Tissue labels",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [made_by],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, description)
        with replacing(folder / "dseg.tsv") as temporary:
            LabelTable(tuple(settings["labels"])).write(temporary)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); make the cohort writable") from error


def _target(cohort: Cohort, case: CaseFiles) -> Path:
    """Where the map of a case goes: beside its DWI's place, under derivatives."""
    dwi = case.images["dwi"]
    stem = dwi.name.split("_dwi.nii")[0]
    return cohort.root / FOLDER / dwi.parent.relative_to(cohort.root) / f"{stem}_dseg.nii.gz"


def _b_value(dwi: Path) -> float:
    """The largest b-value beside the image, in s/mm²; 1000 where none is told."""
    path = dwi.with_name(f"{dwi.name.split('.nii')[0]}.bval")
    try:
        return max(float(word) for word in path.read_text(encoding="utf-8").split()) or 1000.0
    except (OSError, ValueError):
        return 1000.0


def label(
    cohort: Path | str,
    method: str = "hmrf",
    *,
    label_table: Path | str | None = None,
    maps: Path | str | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Labelled, Path]:
    """Give the cases of a cohort that have none their tissue label maps.

    Args: see `core.tissue.cohort.label_cohort`.

    Returns:
        What was done, and a picture sheet to look it over.

    Raises:
        InputError: a cohort that cannot be labelled, or wrong options.
    """
    from dataclasses import replace

    from strokereg.core.cohort.cohort import open_cohort
    from strokereg.core.tissue.cohort import label_cohort
    from strokereg.core.tissue.sheet import draw_tissues

    table, folder = (Path(path) if path else None for path in (label_table, maps))
    done = label_cohort(cohort, method, table, folder, overwrite, workers, on_progress)
    sheet = done.folder / "sheet.png"
    cases = [replace(c, dseg=done.maps[c.name]) for c in open_cohort(cohort).cases if c.name in done.maps]
    if cases and (done.made or not sheet.is_file()):
        draw_tissues(cases, done.table, sheet)
    return done, sheet
