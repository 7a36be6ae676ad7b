"""Train on simulated cases that are drawn while training, so that no training cohort lies on disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from scipy import ndimage

from strokereg.core.cohort.case import Case
from strokereg.core.cohort.labels import TISSUES
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.nifti import Volume
from strokereg.core.simulate import SIMULATOR_VERSION, Simulation, simulate_cohort
from strokereg.core.simulate.anatomy import load_anatomy
from strokereg.core.simulate.fields import smooth_field
from strokereg.core.simulate.lesions import draw_volume, load_lesion
from strokereg.core.simulate.plan import draw_plan, list_sources
from strokereg.core.simulate.pose import GRID, SPACING
from strokereg.core.simulate.subject import Subject, simulate_subject
from strokereg.core.storage.cache import cache_folder, digest
from strokereg.core.train.dataset import PreparedDataset
from strokereg.core.train.prepared import prepare_image
from strokereg.core.train.record import Record
from strokereg.core.train.sampler import IndexedCase
from strokereg.core.train.training import TrainingCallbacks, TrainingSettings, train
from strokereg.registry.options import Options


class SimulatedSource(Options):
    """What cases are simulated from while a network trains.

    Args:
        labels: folder of FreeSurfer-coded label maps; None for the built-in head.
        lesions: folder of lesion masks in MNI space; None for lesions grown at random.
        cases: of the simulated cohort that validates and tests the training; a fifth each, of other heads and lesions.
        seed: of the simulations.
        shape, spacing: grid (X, Y, Z) of the simulated scans, and its voxel edge in mm.
        steps_per_case: training steps for which a new case is drawn.
        window: cases that a step draws its samples from.
        rough, skull: shares of the cases with a rough brain extraction, and with none.
    """

    labels: Path | None = None
    lesions: Path | None = None
    cases: int = Field(default=80, ge=5)
    seed: int = Field(default=0, ge=0)
    shape: tuple[int, int, int] = GRID
    spacing: float = Field(default=SPACING, gt=0)
    steps_per_case: int = Field(default=4, ge=1)
    window: int = Field(default=24, ge=1)
    rough: float = Field(default=0.3, ge=0, le=1)
    skull: float = Field(default=0.2, ge=0, le=1)

    @classmethod
    def at_spacing(cls, spacing: float, **settings: Any) -> SimulatedSource:
        """A source of scans with the voxels of a network's grid, and the field of view of `GRID`."""
        x, y, z = (round(edge * SPACING / spacing) for edge in GRID)
        return cls(shape=(x, y, z), spacing=spacing, **settings)

    def cohort(self) -> Simulation:
        """The cohort for validation and test; its training part fixes the network grid."""
        return Simulation(self.cases, self.labels, self.lesions, self.seed, self.shape, self.spacing, parts=(3, 1, 1))


def train_simulated(
    name: str,
    source: SimulatedSource,
    out: Path | str | None = None,
    settings: TrainingSettings | None = None,
    callbacks: TrainingCallbacks | None = None,
    workers: int | None = None,
) -> tuple[Path, Record]:
    """Train an architecture on cases that are simulated while it trains.

    No two samples come from the same slice of the same case often: a new case is drawn every few steps. Validation
    cases are a simulated cohort in the cache, of heads and lesions that no training case has.

    Args:
        out: run folder; by default `runs/NAME`.
        workers: processes that simulate the cohort; None for one per core.

    Returns:
        The run folder and its record.

    Raises:
        InputError: as of `simulate_cohort` and `train`.
        RunFailed: a loss became NaN or infinite.
    """
    callbacks = callbacks or TrainingCallbacks()
    key = digest([SIMULATOR_VERSION, source.cohort().__dict__])[:16]
    cohort = cache_folder() / "cohorts" / f"simulated-{key}"
    simulate_cohort(cohort, source.cohort(), workers, callbacks.on_progress)
    return train(name, cohort, out, settings, callbacks, partial(SimulatedStream, source))


@dataclass(frozen=True)
class MemoryCase:
    """A case on the network grid in memory; see `core.train.prepared.PreparedCase`."""

    image: np.ndarray
    labels: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Lesion, bool [Z, Y, X]."""
        return self.labels == TISSUES.lesion


class SimulatedStream:
    """Simulated cases without end, of the heads and lesions that the cohort keeps for training."""

    def __init__(self, source: SimulatedSource, dataset: PreparedDataset):
        self.source, self.preparation, self.dims = source, dataset.preparation, dataset.problem.dims
        anatomies = list_sources(source.labels, "--labels") if source.labels else []
        masks = list_sources(source.lesions, "--lesions") if source.lesions else []
        plan = draw_plan(source.cases, anatomies, masks, source.seed, source.cohort().parts)
        others = [case for case in plan.cases if case.subject not in plan.split.train]
        used = {case.anatomy for case in others} if plan.disjoint_anatomies else set()
        seen = {case.lesion for case in others} if plan.disjoint_lesions else set()
        self.anatomies: Sequence[Path | None] = [path for path in anatomies if path not in used] or [None]
        self.lesions = [path for path in masks if path not in seen]
        described = source.model_dump(mode="json", exclude={"labels", "lesions"})
        self.facts: dict[str, Any] = {"simulator": SIMULATOR_VERSION, **described}
        self._cases: OrderedDict[int, IndexedCase] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, step: int) -> Sequence[IndexedCase]:
        """The cases of a step; those of the steps before are kept as long as they are needed."""
        first = step // self.source.steps_per_case
        with self._lock:
            found = [self._case(index) for index in range(first, first + self.source.window)]
            while len(self._cases) > 2 * self.source.window:
                self._cases.popitem(last=False)
        return found

    def _case(self, index: int) -> IndexedCase:
        if index not in self._cases:
            case = self.draw(index)
            signal = case.image[0] > -1.0
            # What lies below the brain counts too: a scan with its skull shows it to the network.
            shown = np.flatnonzero(signal.any(axis=(1, 2)) if self.dims == 2 else signal)
            self._cases[index] = replace(IndexedCase.of(case, self.dims), brain=shown)
        self._cases.move_to_end(index)
        return self._cases[index]

    def draw(self, index: int) -> MemoryCase:
        """Simulate a case, extract its brain well, roughly or not at all, and bring it onto the network grid."""
        source, rng = self.source, np.random.default_rng([self.source.seed, 2, index])
        anatomy = load_anatomy(self.anatomies[int(rng.integers(len(self.anatomies)))])
        if self.lesions:
            lesion: Any = load_lesion(self.lesions[int(rng.integers(len(self.lesions)))])
        else:
            lesion = draw_volume(rng)
        kind = rng.random()
        subject = simulate_subject(
            rng, anatomy, lesion, source.shape, source.spacing, skull=kind < source.rough + source.skull
        )
        brain = roughly_extracted(rng, subject, source.spacing) if kind < source.rough else None
        images = {"dwi": subject.dwi.astype(np.float32), "adc": subject.adc}
        volumes = {}
        for name in self.preparation.channels:
            image = images[name] if brain is None else np.where(brain, images[name], 0.0)
            volumes[name] = Volume(image, subject.affine, Path(f"simulated_{name}.nii.gz"))
        return on_network_grid(rng, Case(f"simulated-{index}", volumes, None, subject.dseg), self.preparation)


def roughly_extracted(rng: np.random.Generator, subject: Subject, spacing: float) -> np.ndarray:
    """The brain as an imperfect extraction finds it, bool [X, Y, Z]: with an uneven rim of what lies around it."""
    brain = subject.dseg > 0
    outward = (ndimage.distance_transform_edt(~brain) - ndimage.distance_transform_edt(brain)) * spacing
    rim = rng.uniform(-1.0, 5.0) + 3.0 * smooth_field(rng, brain.shape, 25.0 / spacing)  # type: ignore[arg-type]
    return outward < rim


def on_network_grid(rng: np.random.Generator, case: Case, preparation: Preparation) -> MemoryCase:
    """Bring a case onto the network grid; the brain's measured intensity is a few percent wrong, as it is in scans."""
    gains = [rng.lognormal(0.0, 0.08) for _ in preparation.channels]
    image, frame = prepare_image(case, preparation, gains)
    assert case.labels is not None
    return MemoryCase(image, frame.labels(case.labels, TISSUES.count))
