"""Train one architecture on a cohort in one call, for any role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.train.augmentation import augmentation_of
from strokereg.core.train.dataset import DatasetSettings, PreparedDataset, prepare_dataset
from strokereg.core.train.device import resolve
from strokereg.core.train.distributed import join_process_group
from strokereg.core.train.record import Record
from strokereg.core.train.runs import train_run
from strokereg.core.train.sampler import CaseStream, Prefetcher, sampler_of
from strokereg.core.train.start import read_start
from strokereg.core.train.tracking import open_tracking
from strokereg.core.train.trainer import TrainerSettings
from strokereg.core.train.validation import Validator, choose_postprocessing
from strokereg.registry.catalogue import find, spec_of
from strokereg.registry.errors import InputError
from strokereg.registry.factory import read_options
from strokereg.registry.options import Options
from strokereg.registry.specs import Role


class TrainingSettings(Options):
    """What to train on, and how.

    Args:
        options: of the architecture itself.
        dataset: contrasts, network grid and dimensions; see `core.train.dataset.DatasetSettings`.
        trainer: steps, batch size, seed, device …; see `core.train.trainer.TrainerSettings`.
        cases: number of training cases, the first of the split; None for all.
        start: run whose weights the training begins with; None for random ones.
        adapt: accept a start with other channels or labels, and start layers of another shape anew.
        fold: fold of a cross-validation, counted from 1; None for `split.tsv`.
        flips: evaluate a segmenter on the mean over each image and its left-right mirror image.
        workers: threads that prefetch batches (does not affect results).
        track: experiment trackers, for example "tensorboard" (do not affect results).
    """

    options: dict[str, Any] = Field(default_factory=dict)
    dataset: DatasetSettings = DatasetSettings()
    trainer: TrainerSettings = TrainerSettings()
    cases: int | None = None
    start: Path | None = None
    adapt: bool = False
    fold: int | None = None
    flips: bool = False
    workers: int = Field(default=1, ge=0)
    track: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingCallbacks:
    """Functions that follow a training.

    Attributes:
        on_progress: called with the number of prepared cases and their total, before the training.
        on_step: called after each step with its number and its named losses.
        on_warning: called with one sentence when a tracker fails and is dropped; None for a Python warning.
    """

    on_progress: Callable[[int, int], None] = lambda done, total: None
    on_step: Callable[[int, dict[str, float]], None] = lambda step, losses: None
    on_warning: Callable[[str], object] | None = None


def train(
    name: str,
    data: Path | str,
    out: Path | str | None = None,
    settings: TrainingSettings | None = None,
    callbacks: TrainingCallbacks | None = None,
    stream: Callable[[PreparedDataset], CaseStream] | None = None,
) -> tuple[Path, Record]:
    """Train one architecture on the training cases of a cohort. An interrupted training is resumed by the same call.

    A call with more steps goes on from where the run in the folder stopped.

    A segmenter is evaluated on the validation cases during training, and its best averaged weights are kept. Its
    postprocessing (threshold and smallest lesion) is chosen on the same cases.

    Args:
        name: a registered architecture of any role but mixer.
        data: cohort folder.
        out: run folder; by default `runs/NAME`.
        settings: by default 1,000 steps on axial slices of 3 mm.
        callbacks: follow the training.
        stream: makes cases without end that take the place of the cohort's training cases, as they are prepared.

    Returns:
        The run folder and its record.

    Raises:
        InputError: an unknown name, wrong options, unusable data, a folder that holds another run, or a tracker that
            cannot be set up.
        RunFailed: a loss became NaN or infinite.
    """
    settings, callbacks = settings or TrainingSettings(), callbacks or TrainingCallbacks()
    entry, spec = find(name), spec_of(name)
    if spec.role is Role.MIXER:
        raise InputError(
            f"{name} is a mixer: it combines two real cases and is not trained; "
            f"evaluate it with 'strokereg compare --models {name}'"
        )
    # Fail on wrong options before any case is prepared.
    options = read_options(entry, settings.options)
    augmentation_of(spec.role, settings.trainer.augment)
    cohort, needing = open_cohort(data, settings.fold), (name,) if spec.needs_tissues else ()
    dataset = prepare_dataset(cohort, settings.dataset, None, callbacks.on_progress, needing)
    cases = len(dataset.train) if settings.cases is None else settings.cases
    if not 1 <= cases <= len(dataset.train):
        raise InputError(f"--cases {cases}: {data} has {len(dataset.train)} training cases; ask for 1 to that many")
    folder = Path(out) if out else Path("runs") / name.replace(":", ".")
    device, precision = resolve(settings.trainer.device, settings.trainer.precision)
    trainer = settings.trainer.model_copy(update={"device": device, "precision": precision})
    drawn = None if stream is None else stream(dataset)
    start = None
    if settings.start is not None:
        preparation, table = dataset.preparation, dataset.table
        start = read_start(settings.start, name, preparation.channels, table.names, dataset.facts, settings.adapt)
    record = Record(
        architecture=name,
        role=spec.role,
        distribution=entry.distribution,
        version=entry.version,
        factory=spec.factory,
        problem=dataset.problem,
        options=options,
        preparation=dataset.preparation,
        labels=dataset.table.names,
        cohort={**dataset.facts, "training_cases": cases, **({} if drawn is None else {"stream": drawn.facts})},
        validation=tuple(case.name for case in dataset.validation_files),
        trainer=trainer.model_dump(),
        start=start,
    )
    is_main = join_process_group(settings.trainer.device).is_main
    tracking = open_tracking(settings.track if is_main else (), folder, callbacks.on_warning)
    facts = {"title": folder.name, "role": spec.role, "architecture": name, "cases": cases}
    facts |= {"seed": settings.trainer.seed, "steps": settings.trainer.steps}

    def on_step(step: int, losses: dict[str, float]) -> None:
        callbacks.on_step(step, losses)
        tracking.begin(folder.name, facts)
        tracking.step(folder.name, step, losses)

    sampler = sampler_of(spec, dataset.problem, trainer, dataset.train[:cases], stream=drawn)
    is_segmenter = spec.role is Role.SEGMENTER
    validator = Validator(dataset.validation, dataset.problem.size, settings.flips) if is_segmenter else None
    try:
        with Prefetcher(sampler, settings.workers) as prefetcher:
            model = train_run(folder, record, prefetcher.batch, on_step, validator, keep_checkpoint=True)
        tracking.end(folder.name)
    finally:
        tracking.close()
    if is_segmenter and is_main:
        postprocessing, dice = choose_postprocessing(
            model, dataset.validation_files, dataset.preparation, dataset.problem.size, settings.flips
        )
        Record.read(folder).model_copy(update={"postprocessing": postprocessing, "validation_dice": dice}).write(folder)
    return folder, Record.read(folder)
