"""One training in one call, for any role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.core.scan import DEFAULT_SPACING
from strokereg.registry.errors import InputError
from strokereg.registry.specs import ArchitectureSpec

if TYPE_CHECKING:
    from strokereg.core.scan.grid import Interpolation, Scaling
    from strokereg.core.train.record import Record


def train(
    name: str,
    data: Path | str,
    out: Path | str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    cases: int | None = None,
    fold: int | None = None,
    channels: tuple[str, ...] = ("dwi",),
    spacing: tuple[float, float, float] = DEFAULT_SPACING,
    dims: int = 2,
    interpolation: Interpolation = "linear",
    scaling: Scaling = "median",
    flips: bool = False,
    workers: int = 1,
    on_case: Callable[[str], None] = lambda case: None,
    on_step: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
    track: Sequence[str] = (),
    on_warning: Callable[[str], object] | None = None,
) -> tuple[Path, Record]:
    """Train one architecture on the training cases of a cohort; called again, it goes on where it stopped.

    Args:
        name: of any role; the role decides what it is shown.
        data: cohort folder.
        out: run folder; by default `runs/NAME`.
        options: of the architecture.
        settings: of the trainer, see `core.train.trainer.TrainerSettings`.
        cases: how many training cases, the first of the split; None for all.
        fold: of a cross-validation, counted from 1; None for `split.tsv`.
        channels, spacing, dims: image contrasts, network grid in mm, 2 or 3.
        interpolation, scaling: linear or cubic; by the brain's median, zscore or percentile (`core.scan.grid`).
        flips: a segmenter's probabilities are the mean over the image and its left-right mirror image.
        workers: threads that draw batches ahead; they change nothing in the result.
        on_case, on_step: told of each prepared case, and of each step with its losses.
        track: experiment trackers that are told of the training, for example "tensorboard"; they change nothing.
        on_warning: told of a tracker that failed and was dropped; by default a Python warning.

    Returns:
        The run folder and its record. A segmenter's threshold and smallest lesion are chosen on validation cases.

    Raises:
        InputError: unknown name, wrong options or data, a folder that holds another run, or a tracker that cannot be
            set up.
        RunFailed: a loss became NaN or infinite.
    """
    from strokereg.core.cohort.cohort import open_cohort
    from strokereg.core.storage.cache import cache_folder
    from strokereg.core.train.dataset import prepare_dataset
    from strokereg.core.train.distributed import join_process_group
    from strokereg.core.train.prefetch import Prefetcher
    from strokereg.core.train.recipe import augmentation_of, sampler_of
    from strokereg.core.train.record import Record
    from strokereg.core.train.runs import train_run
    from strokereg.core.train.tracking import open_tracking
    from strokereg.core.train.trainer import TrainerSettings
    from strokereg.core.train.validation import choose_postprocessing
    from strokereg.registry.catalogue import find
    from strokereg.registry.factory import read_options
    from strokereg.registry.options import parse

    entry = find(name)
    assert isinstance(entry.spec, ArchitectureSpec)
    if entry.spec.role == "mixer":
        raise InputError(
            f"{name} is a mixer: it makes new cases of two real ones and has nothing to train; "
            f"compare it with 'strokereg compare --models {name}'"
        )
    typed = read_options(entry, options or {})  # a wrong one should show before the cases are prepared
    if min(spacing) <= 0:
        raise InputError(f"--spacing {min(spacing):g}: a voxel edge in mm is needed; give more than 0")
    trainer = parse(TrainerSettings, dict(settings or {}), "train")
    augmentation_of(entry.spec.role, trainer.augment)  # so should a wrong augmentation
    cohort, cache = open_cohort(data, fold), cache_folder() / "prepared"
    dataset = prepare_dataset(
        cohort, channels, spacing, dims, cache, on_case, interpolation=interpolation, scaling=scaling
    )
    wanted = len(dataset.train) if cases is None else cases
    if not 1 <= wanted <= len(dataset.train):
        raise InputError(f"--cases {wanted}: {data} has {len(dataset.train)} training cases; ask for 1 to that many")
    folder = Path(out) if out else Path("runs") / name.replace(":", ".")
    record = Record(
        architecture=name,
        role=entry.spec.role,
        distribution=entry.distribution,
        version=entry.version,
        factory=entry.spec.factory,
        problem=dataset.problem,
        options=typed,
        preparation=dataset.preparation,
        labels=dataset.table.names,
        cohort={**dataset.facts, "training_cases": wanted},
        validation=tuple(case.name for case in dataset.validation_files),
        trainer=trainer.model_dump(),
    )
    tracking = open_tracking(track if join_process_group().is_main else (), folder, on_warning)
    facts = {"title": folder.name, "role": entry.spec.role, "architecture": name, "cases": wanted}

    def told(step: int, losses: dict[str, float]) -> None:
        on_step(step, losses)
        tracking.begin(folder.name, facts | {"seed": trainer.seed, "steps": trainer.steps})
        tracking.step(folder.name, step, losses)

    sampler = sampler_of(entry.spec, dataset.problem, trainer, dataset.train[:wanted])
    prefetcher = Prefetcher(sampler.batch, workers)
    try:
        model = train_run(folder, record, prefetcher.batch, told)
        tracking.end(folder.name)
    finally:
        prefetcher.close()
        tracking.close()
    if entry.spec.role == "segmenter" and join_process_group().is_main:
        postprocessing, _ = choose_postprocessing(
            model, dataset.validation_files, dataset.preparation, dataset.problem.size, flips
        )
        Record.read(folder).model_copy(update={"postprocessing": postprocessing}).write(folder)
    return folder, Record.read(folder)
