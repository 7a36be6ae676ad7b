"""Simulating a whole cohort: planned at once, made case by case in parallel, resumed where it stopped."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from strokereg.core.cohort.folder import open_folder
from strokereg.core.cohort.split import USUAL
from strokereg.core.simulate.anatomy import load_anatomy
from strokereg.core.simulate.folder import GENERATOR, close_folder, facts_of, write_subject
from strokereg.core.simulate.lesions import load_lesion
from strokereg.core.simulate.plan import CasePlan, CohortPlan, draw_plan, list_sources
from strokereg.core.simulate.subject import simulate_subject
from strokereg.core.storage.workers import end_with_parent
from strokereg.registry.errors import InputError, RunFailed

#: Goes up with every change that changes voxels: a half-made cohort is not finished by another recipe.
SIMULATOR_VERSION = 1

Progress = Callable[[int, int], None]


class UnusableSource(InputError):
    """A label map or lesion mask turned out unusable while cases were being made."""


def simulate_cohort(
    out: Path | str,
    cases: int,
    *,
    labels: Path | str | None = None,
    lesions: Path | str | None = None,
    seed: int = 0,
    workers: int | None = None,
    shape: tuple[int, int, int] = (112, 112, 73),
    spacing: float = 2.0,
    parts: tuple[int, int, int] = USUAL,
    on_progress: Progress | None = None,
) -> Path:
    """Simulate a cohort of stroke DWI in BIDS layout. The same settings give the same voxels.

    Called again on the same folder it makes only the cases that are missing.

    Args:
        out: folder to make; new, empty, or begun earlier with the same settings.
        cases: number of subjects, at least 5.
        labels: folder of FreeSurfer-coded label maps; None for the embedded MNI152 head.
        lesions: folder of lesion masks in MNI space; None for lesions grown at random.
        seed: of everything random.
        workers: processes; None for one a core. It changes nothing in the result.
        shape: grid (X, Y, Z).
        spacing: isotropic voxel edge in mm.
        parts: train : val : test, in proportion.
        on_progress: called with (finished, all) after every case.

    Returns:
        The folder, a cohort for `core.cohort.cohort.open_cohort`.

    Raises:
        InputError: wrong or unusable sources, too few cases, or a folder that holds something else.
    """
    out = Path(out)
    if seed < 0:
        raise InputError(f"--seed {seed}: must not be negative; give 0 or more")
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: at least one process is needed; give 1 or more")
    anatomies = list_sources(labels, "--labels") if labels is not None else []
    masks = list_sources(lesions, "--lesions") if lesions is not None else []
    plan = draw_plan(cases, anatomies, masks, seed, parts)
    if anatomies:
        load_anatomy(plan.cases[0].anatomy)  # a folder of something else is refused before anything is written
    settings = {
        "recipe": SIMULATOR_VERSION,
        "cases": cases,
        "seed": seed,
        "shape": list(shape),
        "spacing": spacing,
        "labels": _describe(anatomies, labels, "MNI152 tissue maps of nilearn"),
        "lesions": _describe(masks, lesions, "grown at random"),
    }
    if parts != USUAL:
        settings["parts"] = list(parts)
    description = _description(plan, settings)
    if open_folder(out, description):
        return out
    missing = [case for case in plan.cases if facts_of(out, case.subject) is None]
    finished = cases - len(missing)
    if on_progress:
        on_progress(finished, cases)
    try:
        for _ in _make(missing, out, seed, shape, spacing, workers or os.cpu_count() or 1):
            finished += 1
            if on_progress:
                on_progress(finished, cases)
    except UnusableSource:
        # Repaired sources are other sources, so what was made so far could not be gone on with.
        shutil.rmtree(out, ignore_errors=True)
        raise
    close_folder(out, plan, description)
    return out


def _make(
    missing: list[CasePlan], out: Path, seed: int, shape: tuple[int, int, int], spacing: float, workers: int
) -> Iterator[None]:
    workers = min(workers, len(missing))
    if workers < 2:
        for case in missing:
            _make_case(case, out, seed, shape, spacing)
            yield
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, end_with_parent) as pool:
        jobs = [pool.submit(_make_case, case, out, seed, shape, spacing) for case in missing]
        try:
            for job in as_completed(jobs):
                job.result()
                yield
        except BrokenProcessPool as error:
            raise RunFailed(
                f"{out}: a worker process died, for want of memory perhaps; call again with fewer --workers to go on"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _make_case(case: CasePlan, out: Path, seed: int, shape: tuple[int, int, int], spacing: float) -> None:
    try:
        anatomy = load_anatomy(case.anatomy)
        lesion = load_lesion(case.lesion) if case.lesion else case.volume_ml
    except InputError as error:
        raise UnusableSource(str(error)) from error
    rng = np.random.default_rng([seed, 1, case.index])
    write_subject(out, case.subject, simulate_subject(rng, anatomy, lesion, shape, spacing))


def _describe(files: Iterable[Path], folder: Path | str | None, embedded: str) -> dict[str, Any] | str:
    """Name, number and digest of the source files: enough to know them again, without a path of this machine."""
    if folder is None:
        return embedded
    names = [f"{path.name}:{path.stat().st_size}" for path in files]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    return {"folder": Path(folder).resolve().name, "files": len(names), "digest": digest}


def _description(plan: CohortPlan, settings: dict[str, Any]) -> dict[str, Any]:
    anatomies = (
        "No anatomy serves two parts of the split."
        if plan.disjoint_anatomies
        else "Too few anatomies to keep them apart: training, validation and test share heads, each warped anew."
    )
    lesions = (
        "No lesion serves two parts of the split."
        if plan.disjoint_lesions
        else "Too few lesion masks to keep them apart: training, validation and test share them."
    )
    return {
        "Name": "Simulated stroke DWI",
        "BIDSVersion": "1.10.0",
        "DatasetType": "raw",
        "GeneratedBy": [
            {
                "Name": GENERATOR,
                "Version": metadata.version("strokereg"),
                "Description": f"Simulated, not clinical. {anatomies} {lesions}",
                "Settings": settings,
            }
        ],
    }
