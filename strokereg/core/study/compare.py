"""The study in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.registry.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import torch

    from strokereg.core.cohort.cohort import Cohort
    from strokereg.core.study.estimate import Estimate
    from strokereg.core.study.executor import Executor, StudyCallbacks
    from strokereg.core.study.run import Finished
    from strokereg.core.study.settings import StudySettings
    from strokereg.registry.installed import Entry

#: Where a study goes when nobody says where.
OUT = Path("strokereg-study")


def study_settings(preset: str = "quick", owner: str = "compare", **changes: Any) -> StudySettings:
    """A preset with changes: any field of `core.study.settings.StudySettings`.

    Args:
        preset: smoke, quick or full.
        owner: whom an error names.
        **changes: `budgets` (by role), `steps` and `batch_sizes` (by role) and `options` (by architecture) are merged
            into the preset's; every other field replaces it. None leaves the preset's value.

    Raises:
        InputError: an unknown preset, or a value that does not fit.
    """
    from strokereg.core.study.file import merge
    from strokereg.core.study.settings import PRESETS, StudySettings
    from strokereg.registry.options import parse

    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}{did_you_mean(preset, PRESETS)}; the presets are {', '.join(PRESETS)}")
    base = {"options": {}, **PRESETS[preset], "preset": preset}
    budgets = [changes.pop("budgets", None) or {}]
    for field, name in (("steps", "steps"), ("batch_sizes", "batch_size")):
        budgets.append({role: {name: number} for role, number in (changes.pop(field, None) or {}).items()})
    for part, what in zip(budgets, ("budgets", "--steps", "--batch-size"), strict=True):
        for role in part:
            if role not in base["budgets"]:
                raise InputError(f"{what} {role}: no such role{did_you_mean(role, base['budgets'])}")
    return parse(StudySettings, merge(base, changes, *({"budgets": part} for part in budgets)), owner)


def compare(
    models: Sequence[str],
    data: Path | str | None = None,
    out: Path | str = OUT,
    preset: str = "quick",
    external: Path | str | None = None,
    workers: int | None = None,
    callbacks: StudyCallbacks | None = None,
    command: str = "",
    store: Path | str | None = None,
    executor: str = "local",
    fold: int | None = None,
    step_limit: float | None = None,
    track: Sequence[str] = (),
    on_warning: Callable[[str], object] | None = None,
    **changes: Any,
) -> Finished:
    """Run the study: train the segmenter with and without synthetic images, evaluate, and report.

    Args:
        models: translators and mixers to compare.
        data: cohort folder; None makes and caches a simulated one.
        out: folder of the study; called again on it, finished work is found and not done again.
        preset, **changes: see `study_settings`.
        external: cohort of another origin to evaluate on as well.
        workers: processes; by default one a core, or one on a GPU. It changes nothing in the result.
        callbacks: told how the study goes; see `core.study.executor.StudyCallbacks`.
        command: as the report shows it.
        store: where trainings and databases lie; by default `runs` in `out`. Finished work of other studies on this
            machine is found wherever it lies, and linked in.
        executor: "local" for processes of this machine, or "dask://host:port" for the workers of a Dask scheduler.
        fold: of a cross-validation of `data`, counted from 1; None for `split.tsv`.
        step_limit: seconds without a step until a task counts as hung and its arm fails; by default an hour. It
            changes nothing in the result.
        track: experiment trackers that are told of every training, for example "tensorboard"; they change nothing.
        on_warning: told of a tracker that failed and was dropped; by default a Python warning.

    Returns:
        Results and the paths of `results.json`, `results.csv` and `report.html`.

    Raises:
        InputError: unknown model, wrong options, data that cannot be used, or a tracker that cannot be set up.
    """
    from strokereg.core.storage.cache import cache_folder
    from strokereg.core.study.executor import NoCallbacks, default_workers
    from strokereg.core.study.run import run_study
    from strokereg.core.study.tracked import TrackedCallbacks
    from strokereg.core.train.tracking import open_tracking

    _scheduler(executor)
    settings = settle(models, data, preset, **changes)
    workers, callbacks = workers or default_workers(_device(settings)), callbacks or NoCallbacks()
    cohort, external_cohort = _open(settings, data, external, workers, callbacks, fold)
    tracking = open_tracking(track, Path(out), on_warning)
    try:
        return run_study(
            settings, cohort, Path(out), cache_folder().absolute() / "prepared",
            _executor(executor, workers, step_limit), TrackedCallbacks(callbacks, tracking), external_cohort, command,
            Path(store or Path(out) / "runs").absolute(), cache_folder(),
        )  # fmt: skip
    finally:
        tracking.close()


def estimate(
    models: Sequence[str],
    data: Path | str | None = None,
    out: Path | str = OUT,
    preset: str = "quick",
    external: Path | str | None = None,
    workers: int | None = None,
    callbacks: StudyCallbacks | None = None,
    store: Path | str | None = None,
    fold: int | None = None,
    **changes: Any,
) -> Estimate:
    """What `compare` would do with these arguments, and for how long; the data are made dataset, nothing is trained.

    Raises:
        InputError: see `compare`.
    """
    from strokereg.core.storage.cache import cache_folder
    from strokereg.core.study.context import make_context
    from strokereg.core.study.estimate import estimate_study
    from strokereg.core.study.executor import NoCallbacks, default_workers
    from strokereg.core.study.store import known_stores

    settings = settle(models, data, preset, **changes)
    workers, callbacks = workers or default_workers(_device(settings)), callbacks or NoCallbacks()
    cohort, external_cohort = _open(settings, data, external, workers, callbacks, fold)
    place = Path(store) if store else Path(out) / "runs"
    prepared = cache_folder() / "prepared"
    context = make_context(settings, cohort, place, prepared, external_cohort, callbacks.preparing)
    return estimate_study(context, workers, known_stores(cache_folder()))


def describe(
    models: Sequence[str],
    data: Path | str | None = None,
    preset: str = "quick",
    external: Path | str | None = None,
    **changes: Any,
) -> str:
    """The study file (TOML) of what `compare` would run with these arguments.

    Raises:
        InputError: unknown model or wrong options; the data are not looked at.
    """
    from strokereg.core.study.context import architectures
    from strokereg.core.study.file import write_study

    settings = settle(models, data, preset, **changes)
    where = (Path(path) if path else None for path in (data, external))
    return write_study(settings, architectures(settings), *where)


def read_study(path: Path | str) -> dict[str, Any]:
    """The arguments for `compare` that a study file gives; `models` may be missing.

    Raises:
        InputError: names the file and the key that is wrong.
    """
    from strokereg.core.study.file import PATHS, read_study

    values = read_study(Path(path))
    checked = {key: value for key, value in values.items() if key not in ("data", "external")}
    study_settings(checked.pop("preset", "quick"), owner=str(path), **{"models": ("pix2pix",), **checked})
    for key in PATHS:
        if key in values and not values[key].is_dir():
            raise InputError(f"{path}: {key}: {values[key]} is no folder; paths count from the file's own folder")
    return values


def settle(models: Sequence[str], data: Path | str | None, preset: str, **changes: Any) -> StudySettings:
    """Settings with typed options.

    Raises:
        InputError: unknown model, wrong options, a library that an augmentation needs is missing.
    """
    from strokereg.core.study.context import architectures
    from strokereg.core.train.augmentation import augmentation_of

    settings = study_settings(preset, models=tuple(models), **changes)
    for role, budget in settings.budgets.items():
        augmentation_of(role, budget.augment, f"budgets.{role}.augment")
    if data is None:
        spacing = tuple(max(edge, settings.embedded.spacing) for edge in settings.spacing)
        settings = settings.model_copy(update={"spacing": spacing})
    known = architectures(settings)
    for name in settings.options:
        if name not in known and name in (changes.get("options") or {}):
            raise InputError(f"--set {name}.…: {name} is not in this study{did_you_mean(name, known)}")
    return typed_options(settings, known)


def _scheduler(executor: str) -> str | None:
    """`host:port` of the Dask scheduler; None for this machine's own processes.

    Raises:
        InputError: neither "local" nor "dask://host:port", or a study inside torchrun.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("a study starts its own processes; call it without torchrun, which is for 'strokereg train'")
    if executor == "local":
        return None
    kind, sign, address = executor.partition("://")
    if kind != "dask" or not sign or ":" not in address:
        raise InputError(f"--executor {executor}: give local, or dask://host:port of a Dask scheduler")
    return address


def _executor(executor: str, workers: int, step_limit: float | None) -> Executor:
    from strokereg.core.study.cluster import DaskExecutor
    from strokereg.core.study.executor import LocalExecutor
    from strokereg.core.study.patience import LIMIT

    address, limit = _scheduler(executor), step_limit or LIMIT
    return LocalExecutor(workers, limit) if address is None else DaskExecutor(address, limit)


def _device(settings: StudySettings) -> torch.device:
    from strokereg.core.train.device import choose_device

    return choose_device(settings.device)


def _open(
    settings: StudySettings,
    data: Path | str | None,
    external: Path | str | None,
    workers: int,
    callbacks: StudyCallbacks,
    fold: int | None,
) -> tuple[Cohort, Cohort | None]:
    """The cohort, made first where none is given, and the external one."""
    from strokereg.core.cohort.cohort import open_cohort
    from strokereg.core.cohort.open import read_folder

    # Absolute, because the workers of a cluster stand elsewhere. A wrong folder shows before an hour of training.
    external_cohort = read_folder(Path(external).absolute()) if external else None
    return open_cohort(
        (Path(data) if data else _embedded(settings, workers, callbacks)).absolute(), fold
    ), external_cohort


def _embedded(settings: StudySettings, workers: int, callbacks: StudyCallbacks) -> Path:
    """The simulated cohort of these settings, made once and kept."""
    from strokereg.core.simulate import SIMULATOR_VERSION, simulate_cohort
    from strokereg.core.storage.cache import cache_folder

    wanted = settings.embedded
    shape = "x".join(map(str, wanted.shape))
    return simulate_cohort(
        cache_folder() / "cohorts" / f"embedded-{wanted.cases}-{shape}-{wanted.spacing:g}mm-r{SIMULATOR_VERSION}",
        wanted.cases,
        shape=wanted.shape,
        spacing=wanted.spacing,
        workers=workers,
        on_progress=lambda done, total: callbacks.preparing("simulating the embedded cohort", done, total),
    )


def typed_options(settings: StudySettings, known: Mapping[str, Entry]) -> StudySettings:
    """The same settings with the options of the study's architectures as typed values.

    Raises:
        InputError: options that an architecture does not have or cannot take.
    """
    from strokereg.registry.factory import read_options

    read = {name: read_options(entry, settings.options.get(name, {})) for name, entry in known.items()}
    return settings.model_copy(update={"options": {**settings.options, **read}})


def split_options(values: Mapping[str, str], example: str) -> dict[str, dict[str, str]]:
    """`{"pix2pix.lr": "1e-4"}` → `{"pix2pix": {"lr": "1e-4"}}`.

    Raises:
        InputError: a key that does not name its architecture.
    """
    options: dict[str, dict[str, str]] = {}
    for key, value in values.items():
        owner, dot, option = key.rpartition(".")
        if not dot or not owner:
            raise InputError(f"--set {key}: say whose option it is, for example --set {example}.{key}={value}")
        options.setdefault(owner, {})[option] = value
    return options
