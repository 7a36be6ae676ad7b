"""Simulate a cohort: plan it, make its cases in parallel, and continue where an earlier call stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from strokereg.core.cohort.folder import SIMULATION, describe, open_folder
from strokereg.core.cohort.split import DEFAULT_PARTS
from strokereg.core.simulate.anatomy import load_anatomy
from strokereg.core.simulate.folder import finish_cohort, read_facts, remove_subjects, write_subject
from strokereg.core.simulate.lesions import MniLesion, load_lesion
from strokereg.core.simulate.plan import CasePlan, CohortPlan, draw_plan, list_sources
from strokereg.core.simulate.subject import GRID, SPACING, simulate_subject
from strokereg.core.storage.workers import run_in_workers
from strokereg.registry.errors import InputError

#: Raised with every change that alters voxels, so that a cohort is never continued by another version.
SIMULATOR_VERSION = 2


@dataclass(frozen=True)
class Simulation:
    """Settings of a simulated cohort. The same settings give the same voxels.

    Attributes:
        cases: number of subjects, at least 5.
        labels: folder of FreeSurfer-coded label maps; None for the built-in MNI152 head.
        lesions: folder of lesion masks in MNI space; None for lesions grown at random.
        seed: seed of everything random.
        shape: grid (X, Y, Z).
        spacing: isotropic voxel edge in mm.
        parts: train : val : test, in proportion.
    """

    cases: int
    labels: Path | str | None = None
    lesions: Path | str | None = None
    seed: int = 0
    shape: tuple[int, int, int] = GRID
    spacing: float = SPACING
    parts: tuple[int, int, int] = DEFAULT_PARTS


class UnusableSource(InputError):
    """A label map or a lesion mask turned out to be unusable while cases were being made."""


def simulate_cohort(
    out: Path | str,
    simulation: Simulation,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Simulate a cohort of stroke DWI in BIDS layout.

    A second call on the same folder makes only the cases that are missing.

    Args:
        out: the cohort folder; new, empty, or begun earlier with the same settings.
        simulation: what to simulate.
        workers: number of processes; None for one per core. It does not change the result.
        on_progress: called with (finished, total) after every case.

    Returns:
        The cohort folder, for `core.cohort.cohort.open_cohort`.

    Raises:
        InputError: wrong or unusable sources, too few cases, or a folder that holds something else.
    """
    out, total = Path(out), simulation.cases
    if simulation.seed < 0:
        raise InputError(f"--seed {simulation.seed}: must not be negative; give 0 or more")
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: at least one process is needed; give 1 or more")
    anatomies = list_sources(simulation.labels, "--labels") if simulation.labels is not None else []
    masks = list_sources(simulation.lesions, "--lesions") if simulation.lesions is not None else []
    plan = draw_plan(total, anatomies, masks, simulation.seed, simulation.parts)
    if anatomies:
        load_anatomy(plan.cases[0].anatomy)  # refuse a folder of something else before anything is written
    description = _describe(simulation, plan, anatomies, masks)
    if open_folder(out, description):
        return out
    missing = [case for case in plan.cases if read_facts(out, case.subject) is None]
    found = total - len(missing)
    on_progress(found, total)
    try:
        make = partial(_make_case, out, simulation)
        run_in_workers(make, missing, out, workers, lambda done: on_progress(found + done, total))
    except UnusableSource:
        # The user will replace the sources, and cases of other sources cannot be mixed with those made so far.
        remove_subjects(out, plan)
        raise
    finish_cohort(out, plan, description)
    return out


def _make_case(out: Path, simulation: Simulation, case: CasePlan) -> None:
    try:
        anatomy = load_anatomy(case.anatomy)
        lesion = load_lesion(case.lesion) if case.lesion else case.volume_ml
        if isinstance(lesion, MniLesion) and lesion.is_slice:
            raise InputError(f"{case.lesion}: is a single slice; give lesion masks of the whole brain")
    except InputError as error:
        raise UnusableSource(str(error)) from error
    rng = np.random.default_rng([simulation.seed, 1, case.index])
    write_subject(out, case.subject, simulate_subject(rng, anatomy, lesion, simulation.shape, simulation.spacing))


def _describe(
    simulation: Simulation, plan: CohortPlan, anatomies: Iterable[Path], masks: Iterable[Path]
) -> dict[str, Any]:
    """Description of the dataset, with the settings that decide its voxels."""
    settings = {
        "recipe": SIMULATOR_VERSION,
        "cases": simulation.cases,
        "seed": simulation.seed,
        "shape": list(simulation.shape),
        "spacing": simulation.spacing,
        "labels": _identify(anatomies, simulation.labels, "MNI152 tissue maps of nilearn"),
        "lesions": _identify(masks, simulation.lesions, "grown at random"),
    }
    if simulation.parts != DEFAULT_PARTS:
        settings["parts"] = list(simulation.parts)
    heads = (
        "No anatomy serves two parts of the split."
        if plan.disjoint_anatomies
        else "Too few anatomies to keep them apart: training, validation and test share heads, each warped differently."
    )
    lesions = (
        "No lesion serves two parts of the split."
        if plan.disjoint_lesions
        else "Too few lesion masks to keep them apart: training, validation and test share them."
    )
    return describe("Simulated stroke DWI", SIMULATION, settings, f"Simulated, not clinical. {heads} {lesions}")


def _identify(files: Iterable[Path], folder: Path | str | None, built_in: str) -> dict[str, Any] | str:
    """Folder name, number and digest of the source files: enough to recognise them, without a path of this machine."""
    if folder is None:
        return built_in
    names = [f"{path.name}:{path.stat().st_size}" for path in files]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    return {"folder": Path(folder).resolve().name, "files": len(names), "digest": digest}
