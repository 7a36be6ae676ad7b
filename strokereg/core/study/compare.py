"""Runs a study from data to report: the function behind `strokereg compare`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from strokereg.core.cohort.cohort import Cohort, open_cohort
from strokereg.core.cohort.embedded import unpack
from strokereg.core.cohort.open import read_folder
from strokereg.core.report import write_report
from strokereg.core.report.results import Results
from strokereg.core.report.table_files import write_tables
from strokereg.core.report.terminal_table import write_csv
from strokereg.core.scan.view import Convention
from strokereg.core.simulate import SIMULATOR_VERSION, Simulation, simulate_cohort
from strokereg.core.storage.cache import cache_folder
from strokereg.core.storage.files import in_own_folder, keep_foreign, make_folder, write_json
from strokereg.core.storage.requirements import REQUIREMENTS, write_requirements
from strokereg.core.storage.workers import count_cores
from strokereg.core.study.cluster import DaskExecutor
from strokereg.core.study.collect import collect, examples, histories, read_curves
from strokereg.core.study.context import StudyContext, make_context
from strokereg.core.study.estimate import Estimate, estimate_study, expected_seconds
from strokereg.core.study.executor import STEP_LIMIT, Executor, NoCallbacks, StudyCallbacks, TrackedCallbacks
from strokereg.core.study.local import LocalExecutor
from strokereg.core.study.pictures import draw_sheets, gather_volumes
from strokereg.core.study.plan import make_plan
from strokereg.core.study.settings import StudySettings, complete_settings, is_simulated_by_name
from strokereg.core.study.slots import default_slots
from strokereg.core.study.store import TASKS, adopt, known_stores, note_study
from strokereg.core.study.tasks import is_done
from strokereg.core.train.device import choose_device
from strokereg.core.train.tracking import open_tracking
from strokereg.registry.errors import InputError

#: The default folder of a study.
OUT = Path("strokereg-study")
# Written into it; the first one shows that the others are ours.
_FILES = ("study.json", TASKS, "results.json", "results.csv", "table.md", "table.tex", "report.html", REQUIREMENTS)


@dataclass(frozen=True)
class RunOptions:
    """How a study is run. Nothing here changes a number of its result, except `external` and `fold`, which add to it.

    Attributes:
        external: a second cohort, from elsewhere, to evaluate on as well.
        fold: fold of a cross-validation of the cohort, counted from 1; None for `split.tsv`.
        same_as: `results.json` of an earlier run of this study, to compare with. Finished work of other studies is then
            not used.
        store: folder of trainings and databases; by default `runs` in the study's folder. Finished work of other
            studies on this machine is found wherever it lies, and linked in.
        executor: "local" for processes of this machine, or "dask://host:port" for the workers of a Dask scheduler.
        workers: processes; by default one per core, and on GPUs also one for each training that fits; see
            `core.study.slots`.
        step_limit: seconds without a step until a task counts as hung and its arm fails.
        track: names of experiment trackers, such as "tensorboard".
        callbacks: informed of the progress.
        on_warning: called with a sentence when a tracker fails and is dropped; by default a Python warning.
        command: shown in the report.
        convention: orientation of the pictures.
    """

    external: Path | str | None = None
    fold: int | None = None
    same_as: Path | str | None = None
    store: Path | str | None = None
    executor: str = "local"
    workers: int | None = None
    step_limit: float = STEP_LIMIT
    track: Sequence[str] = ()
    callbacks: StudyCallbacks = NoCallbacks()  # noqa: RUF009 (has no state)
    on_warning: Callable[[str], object] | None = None
    command: str = ""
    convention: Convention = Convention.RADIOLOGICAL


DEFAULTS = RunOptions()


@dataclass(frozen=True)
class Finished:
    """A finished study: its results, and where they lie.

    Attributes:
        changes: values that differ from those of `RunOptions.same_as`; see `Results.changes`.
    """

    results: Results
    json: Path
    csv: Path
    report: Path
    changes: Sequence[str] = ()


def compare(
    models: Sequence[str] = (),
    data: Path | str | None = None,
    out: Path | str = OUT,
    preset: str = "quick",
    run: RunOptions = DEFAULTS,
    **changes: Any,
) -> Finished:
    """Train a segmenter with and without synthetic images, evaluate all on the same test cases, and write the report.

    Called again with the same arguments, it continues where it stopped.

    Args:
        models: translators and mixers to compare; none for clinical only.
        data: cohort folder; None for the embedded cohort of real FLAIR slices; "simulated" makes a cohort, once.
        out: folder of the study.
        preset, **changes: see `study_settings`.
        run: workers, external cohort, trackers and the like.

    Returns:
        Results and the paths of `results.json`, `results.csv` and `report.html`.

    Raises:
        InputError: unknown model, wrong options, data that cannot be used, or a tracker that cannot be set up.
    """
    out, address = Path(out), _scheduler(run.executor)
    _check_folder(out)
    before = _earlier(run.same_as, out)
    settings = complete_settings(models, data, preset, **changes)
    executor = _executor(address, settings, run)
    settings = _resolved(settings, executor)
    cohort, external = _open(settings, data, run)
    tracking = open_tracking(run.track, out, run.on_warning)
    try:
        context = make_context(settings, cohort, _store(out, run).absolute(), external, run.callbacks.preparing)
        callbacks = TrackedCallbacks(run.callbacks, tracking)
        finished = run_study(
            context, out, executor, callbacks, run.command, cache_folder(), run.convention, reuse=before is None
        )
        return replace(finished, changes=finished.results.changes(before)) if before else finished
    finally:
        tracking.close()


def estimate(
    models: Sequence[str],
    data: Path | str | None = None,
    out: Path | str = OUT,
    preset: str = "quick",
    run: RunOptions = DEFAULTS,
    **changes: Any,
) -> Estimate:
    """What `compare` would do with these arguments, and for how long. The data are prepared, nothing is trained.

    Raises:
        InputError: see `compare`.
    """
    settings = complete_settings(models, data, preset, **changes)
    slots = default_slots(choose_device(settings.device), run.workers)
    executor = _executor(_scheduler(run.executor), settings, run)
    settings = _resolved(settings, executor)
    cohort, external = _open(settings, data, run)
    context = make_context(settings, cohort, _store(Path(out), run), external, run.callbacks.preparing)
    return estimate_study(context, slots.trainings, known_stores(cache_folder()))


def run_study(
    context: StudyContext,
    out: Path,
    executor: Executor,
    callbacks: StudyCallbacks,
    command: str = "",
    notes: Path | None = None,
    convention: Convention = Convention.RADIOLOGICAL,
    reuse: bool = True,
) -> Finished:
    """Do what is not done yet of a study, then write `results.json`, `results.csv`, tables and `report.html`.

    `requirements.txt` pins the packages, for repeating the study.

    Args:
        out: folder of the study.
        executor, callbacks: who does the tasks, and who is informed of them.
        notes: folder in which stores are noted, so that studies find each other's work; None to be alone.
        convention: orientation of the pictures in the report.
        reuse: take over finished work of the noted stores.

    Raises:
        InputError: wrong input that shows in a task only.
    """
    make_folder(out)
    write_json(out / "study.json", json.loads(context.settings.model_dump_json()))
    plan = make_plan(context)
    stores = known_stores(notes) if notes else []
    if reuse:
        adopt(context, plan, stores)
    if notes is not None:
        note_study(out, context, plan, notes)
    callbacks.planned(plan, expected_seconds(context, plan, stores))
    if not (out / REQUIREMENTS).is_file() or not all(is_done(context, task) for task in plan.tasks.values()):
        write_requirements(out)  # only what trains something says with which versions
    failures = executor.run(context, plan.tasks.values(), callbacks)
    curves = read_curves(context, plan)
    results = collect(context, plan, failures, command, curves)
    results.write(out / "results.json")
    write_csv(results, out / "results.csv")
    write_tables(results, out)
    left = examples(context, plan)
    shown = draw_sheets(context, plan, left, convention), gather_volumes(context, plan, left, convention)
    report = write_report(out, results, histories(plan, curves), *shown)
    return Finished(results, out / "results.json", out / "results.csv", report)


def _check_folder(out: Path) -> None:
    """Refuse a folder in which someone else's files have the names of a study's.

    Raises:
        InputError: names the file.
    """
    keep_foreign([out / name for name in _FILES], in_own_folder(_FILES[0], "models", "seeds"))


def _earlier(path: Path | str | None, out: Path) -> Results | None:
    """The results to compare with.

    Raises:
        InputError: they cannot be read, or lie in the study's own folder, whose finished work would not be repeated.
    """
    if path is None:
        return None
    if Path(path).resolve().parent == out.resolve():
        raise InputError(f"--same-as {path}: is of --out {out}, where nothing would be repeated; give a new --out")
    return Results.read(Path(path))


def _scheduler(executor: str) -> str | None:
    """`host:port` of the Dask scheduler; None for processes of this machine.

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


def _executor(address: str | None, settings: StudySettings, run: RunOptions) -> Executor:
    if address:
        return DaskExecutor(address, run.step_limit)
    return LocalExecutor(default_slots(choose_device(settings.device), run.workers), run.step_limit)


def _resolved(settings: StudySettings, executor: Executor) -> StudySettings:
    device, precision = executor.resolve(settings.device, settings.precision)
    return settings.model_copy(update={"device": device, "precision": precision})


def _store(out: Path, run: RunOptions) -> Path:
    return Path(run.store or out / "runs")


def _open(settings: StudySettings, data: Path | str | None, run: RunOptions) -> tuple[Cohort, Cohort | None]:
    """The cohort, unpacked or simulated first if it is one of the package's own, and the external one."""
    # Absolute, because the workers of a cluster stand elsewhere. A wrong folder shows before an hour of training.
    external = read_folder(Path(run.external).absolute()) if run.external else None
    if data is None:
        unpacking = "unpacking the embedded cohort"
        place = unpack(
            cache_folder() / "cohorts", lambda done, total: run.callbacks.preparing(unpacking, done, total)
        ).cohort
    else:
        place = _simulated(settings, run) if is_simulated_by_name(data) else Path(data)
    return open_cohort(place.absolute(), run.fold), external


def _simulated(settings: StudySettings, run: RunOptions) -> Path:
    """The simulated cohort of these settings, made once and kept."""
    wanted = settings.simulated
    shape = "x".join(map(str, wanted.shape))
    return simulate_cohort(
        cache_folder() / "cohorts" / f"simulated-{wanted.cases}-{shape}-{wanted.spacing:g}mm-r{SIMULATOR_VERSION}",
        Simulation(wanted.cases, shape=wanted.shape, spacing=wanted.spacing),
        run.workers or count_cores(),
        on_progress=lambda done, total: run.callbacks.preparing("simulating the cohort", done, total),
    )
