"""The five kinds of work of a study, each done in a folder of its own. These functions run in worker processes."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from filelock import FileLock, Timeout

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.evaluate.image_metrics import Features, deep_features
from strokereg.core.evaluate.image_quality import ImageComparison, View
from strokereg.core.evaluate.memorisation import audit
from strokereg.core.evaluate.metrics import score_case
from strokereg.core.evaluate.views import view_case
from strokereg.core.roles import Mixer
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.scan.view import axial
from strokereg.core.storage.files import write_json
from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import Task, TaskKind, cost_of, record_of
from strokereg.core.synthesis.cases import SynthesisSettings, read_database, render, write_database
from strokereg.core.synthesis.mixed import host_of, write_mixed
from strokereg.core.synthesis.placement import learn_prior
from strokereg.core.train.dataset import prepared_folder
from strokereg.core.train.device import choose_device, seed_everything
from strokereg.core.train.prepared import PreparedCase, prepare_cases
from strokereg.core.train.record import Record
from strokereg.core.train.runs import load_model, train_run
from strokereg.core.train.sampler import Prefetcher, cut, sampler_of
from strokereg.core.train.trainer import TrainerSettings
from strokereg.core.train.validation import (
    Prediction,
    Validator,
    best_postprocessing,
    predict_case,
    predict_prepared,
)
from strokereg.registry.catalogue import build, spec_of
from strokereg.registry.errors import InputError, RunFailed
from strokereg.registry.problem import Problem

#: Called with (step, of how many, losses) while a task runs.
Report = Callable[[int, int, dict[str, float]], None]

#: Fields of every outcome that describe the work and not its results.
SPENT = ("seconds", "steps", "cost")

_LOCK = ".task.lock"  # in the folder of a task
_SHOWN = 4  # cases in a picture sheet
#: Part → cases of it whose predictions are kept whole, for the report's viewer: the first ones.
KEPT = {"cases": 2, "external": 1}


def outcome_path(context: StudyContext, task: Task) -> Path:
    """The file with the results of a task. It is written last, so a task that has it is finished."""
    return context.store / task.folder / f"outcome{'-' * bool(task.evaluated)}{task.evaluated[:12]}.json"


def examples_path(context: StudyContext, task: Task) -> Path:
    """The file with planes for the pictures of the report."""
    return outcome_path(context, task).with_suffix(".npz")


def is_done(context: StudyContext, task: Task) -> bool:
    """True if the task is finished."""
    return outcome_path(context, task).is_file()


def outcome(context: StudyContext, task: Task) -> dict[str, Any]:
    """The results of a finished task."""
    return json.loads(outcome_path(context, task).read_text(encoding="utf-8"))


def perform(context: StudyContext, task: Task, needs: dict[str, Task], report: Report) -> None:
    """Do a task, unless it is done.

    Args:
        needs: the tasks it depends on, by key.
        report: called after every step, and as a sign of life during other long work.

    Raises:
        StrokeregError: see training and reading.
    """
    torch.set_num_threads(context.settings.threads)
    folder = context.store / task.folder
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder, lambda: report(0, task.steps, {})):
        if is_done(context, task):
            return
        fresh = {path.name for path in folder.iterdir()} <= {_LOCK}
        begun = time.perf_counter()
        said = _WORK[task.kind](context, task, needs, folder, report)
        seconds = round(time.perf_counter() - begun, 2)
        # What continued an interrupted or a finished training says nothing about the time of a whole one.
        spent = {"seconds": seconds, "steps": task.steps, "cost": cost_of(context, task) if fresh else None}
        write_json(outcome_path(context, task), {**said, **spent})


@contextlib.contextmanager
def _alone(folder: Path, alive: Callable[[], None]) -> Iterator[None]:
    """Lock a folder; while another study holds it, wait and report signs of life."""
    lock = FileLock(folder / _LOCK)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1.0)
        except Timeout:
            alive()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _of_the_architecture() -> Iterator[None]:
    """Turn input errors of an architecture into failures of its arm, so that the study goes on."""
    try:
        yield
    except InputError as error:
        raise RunFailed(str(error)) from error


def _alive_at_each(files: Iterable[CaseFiles], alive: Callable[[], None]) -> Iterator[CaseFiles]:
    """Pass cases on, with a sign of life before each."""
    for one in files:
        alive()
        yield one


def _train(context: StudyContext, task: Task, needs: dict[str, Task], folder: Path, report: Report) -> dict[str, Any]:
    record = record_of(context, task)
    settings = TrainerSettings.model_validate(record.trainer)
    synthetic = []
    if task.database:
        synthetic = read_database(context.store / needs[task.database].folder, context.dataset.table.lesion)
    sampler = sampler_of(
        spec_of(task.architecture),
        context.dataset.problem,
        settings,
        context.dataset.train[: task.cases] if task.clinical else (),
        synthetic,
        task.share or 0.5,
    )
    validator = None
    if task.kind is TaskKind.SEGMENTER:
        validator = Validator(context.dataset.validation, context.dataset.problem.size, context.settings.flips)

    def on_step(step: int, losses: dict[str, float]) -> None:
        report(step, settings.steps, losses)

    # Beside a GPU a thread draws ahead; on a CPU all cores are at work already.
    with _of_the_architecture(), Prefetcher(sampler, workers=int(settings.device != "cpu")) as prefetcher:
        model = train_run(folder, record, prefetcher.batch, on_step, validator)
    if task.kind is not TaskKind.SEGMENTER:
        return {}

    def alive() -> None:
        report(settings.steps, settings.steps, {})

    dataset, flips = context.dataset, context.settings.flips
    validation = zip(_alive_at_each(dataset.validation_files, alive), dataset.validation, strict=True)
    predicted = (predict_prepared(model, files, case, dataset.problem.size, flips) for files, case in validation)
    postprocessing, dice = best_postprocessing(predicted, flips)
    record = Record.read(folder).model_copy(update={"postprocessing": postprocessing, "validation_dice": dice})
    record.write(folder)
    chosen = {"validation_dice": dice, "chosen_step": record.chosen_step}
    return _evaluate(context, task, model, postprocessing, alive) | chosen


def _evaluate(
    context: StudyContext, task: Task, model: torch.nn.Module, postprocessing: Postprocessing, alive: Callable[[], None]
) -> dict[str, Any]:
    scores: dict[str, dict[str, Any]] = {"cases": {}, "external": {}}
    shown: dict[str, np.ndarray] = {}
    dataset, size, flips = context.dataset, context.dataset.problem.size, postprocessing.flips
    prepared = _prepared_test_cases(context)
    for part, files in (("cases", dataset.test_files), ("external", context.external)):
        for number, case in enumerate(_alive_at_each(files, alive)):
            if part == "cases" and number >= _SHOWN:
                evaluated = predict_prepared(model, case, prepared[number], size, flips)
            else:
                evaluated = predict_case(model, case, dataset.preparation, size, flips)
            scores[part][case.name] = score_case(evaluated, postprocessing).model_dump()
            if number < _SHOWN:
                shown |= {
                    f"{part}/{case.name}/{name}": plane for name, plane in _middle(evaluated, postprocessing).items()
                }
            if number < KEPT[part]:
                called = axial(evaluated.mask(postprocessing), evaluated.reference.affine)
                shown[whole_name(part, case.name)] = np.packbits(called)  # eight voxels a byte
    np.savez_compressed(examples_path(context, task), **shown)  # type: ignore[arg-type]
    return {"postprocessing": postprocessing.model_dump(), **scores}


def _prepared_test_cases(context: StudyContext) -> list[PreparedCase]:
    dataset = context.dataset
    return prepare_cases(dataset.test_files, dataset.preparation, dataset.table, prepared_folder())


def whole_name(part: str, case: str) -> str:
    """Name of the stored prediction of a case: the packed bits of its axial slices."""
    return f"whole/{part}/{case}"


def _middle(evaluated: Prediction, postprocessing: Postprocessing) -> dict[str, np.ndarray]:
    """Image, truth and prediction [Y, X] on the canonical axial slice with most lesion (or the middle one)."""
    scan = {"image": evaluated.reference.data, "truth": evaluated.truth, "prediction": evaluated.mask(postprocessing)}
    volumes = {name: axial(volume, evaluated.reference.affine) for name, volume in scan.items()}
    area = volumes["truth"].sum(axis=(1, 2))
    z = int(area.argmax()) if area.any() else len(area) // 2
    return {name: volume[z] for name, volume in volumes.items()}


def _database(
    context: StudyContext, task: Task, needs: dict[str, Task], folder: Path, report: Report
) -> dict[str, Any]:
    if context.mixes(task.architecture):
        return _mix(context, task, folder, report)
    makers = {needs[key].kind: needs[key] for key in task.needs}
    device = choose_device(context.settings.device)
    generator = load_model(context.store / makers[TaskKind.GENERATOR].folder)[1].to(device)
    translator = load_model(context.store / makers[TaskKind.TRANSLATOR].folder)[1].to(device)
    stochastic = spec_of(task.architecture).stochastic
    count = context.settings.synthetic_cases
    dataset = context.dataset
    with _of_the_architecture():
        prior = learn_prior(dataset.train[: task.cases], dataset.problem.dims)
        settings = SynthesisSettings(
            generator, translator, stochastic, dataset.table, dataset.problem, prior, compose=task.compose
        )
        tally = write_database(
            folder,
            context.public.anatomies if task.public else context.dataset.train[: task.cases],
            settings,
            count,
            task.seed,
            lambda done: report(done, count, {}),
        )
        return asdict(tally) | _held_out(context, task, translator, stochastic)


def _held_out(context: StudyContext, task: Task, translator: torch.nn.Module, stochastic: bool) -> dict[str, Any]:
    """Translate the label maps of validation cases and compare with their real images."""
    seed_everything(context.settings.seeds[0])
    shown: dict[str, np.ndarray] = {}
    distance = []
    for number, case in enumerate(context.dataset.validation):
        labels, image = _richest_unit(case.image, case.labels, case.lesion, context.dataset.problem)
        fake = render(translator, labels[None], stochastic)[0]
        brain = labels > 0
        distance.append(float(np.abs(fake - image)[:, brain].mean()))
        if number < _SHOWN:
            planes = {"labels": labels, "image": image[0], "synthetic": fake[0]}
            if context.dataset.problem.dims == 3:
                planes = {name: volume[len(volume) // 2] for name, volume in planes.items()}
            shown |= {f"{case.name}/{name}": plane for name, plane in planes.items()}
    np.savez_compressed(examples_path(context, task), **shown)  # type: ignore[arg-type]
    return {"held_out_l1": float(np.mean(distance)) if distance else 0.0}


def _mix(context: StudyContext, task: Task, folder: Path, report: Report) -> dict[str, Any]:
    options = context.settings.options.get(task.architecture, {})
    mixer = cast(Mixer, build(task.architecture, context.dataset.problem, options))
    cases, count = context.dataset.train[: task.cases], context.settings.synthetic_cases
    with _of_the_architecture():
        tally = write_mixed(
            folder, cases, mixer, context.dataset.table, count, task.seed, lambda done: report(done, count, {})
        )
    shown: dict[str, np.ndarray] = {}
    for number, made in enumerate(read_database(folder, context.dataset.table.lesion)[:_SHOWN]):
        host = host_of(cases, number)
        # The slice that differs most from the host; where nothing does, the one with most brain.
        change = np.abs(made.image - host.image).sum(axis=(0, 2, 3)) + 1e-6 * (made.labels > 0).sum(axis=(1, 2))
        z = int(change.argmax())
        planes = {"host": host.image[0, z], "mixed": made.image[0, z], "lesion": made.mask[z]}
        shown |= {f"{host.name}/{name}": plane for name, plane in planes.items()}
    np.savez_compressed(examples_path(context, task), **shown)  # type: ignore[arg-type]
    return asdict(tally)


def _richest_unit(
    image: np.ndarray, labels: np.ndarray, lesion: int, problem: Problem
) -> tuple[np.ndarray, np.ndarray]:
    """Labels [*S] and image [C, *S] of the slice with most lesion, or brain where there is none; 3D: the volume."""
    if problem.dims == 3:
        image, labels = cut(image, labels, (), problem.size)
        return labels, image
    volume = np.asarray(labels)
    area = (volume == lesion).sum(axis=(1, 2)) * volume[0].size + (volume > 0).sum(axis=(1, 2))
    z = int(area.argmax())
    image, plane = cut(image[:, z], volume[z], (), problem.size)
    return plane, image


def _quality(context: StudyContext, task: Task, needs: dict[str, Task], folder: Path, report: Report) -> dict[str, Any]:
    return measure_quality(context, task, needs, lambda: report(0, task.steps, {}))


def measure_quality(
    context: StudyContext, task: Task, needs: Mapping[str, Task], alive: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Image quality of a translator on held-out label maps, and the memorisation audit of its database.

    Validation and test cases are held out. Features are those of the clinical-only segmenter. A mixer translates no
    label maps, so it gets the audit only. `alive` is called now and then, as a sign of life.
    """
    kinds = {need.kind: need for need in needs.values()}
    dataset, device = context.dataset, choose_device(context.settings.device)
    segmenter = load_model(context.store / kinds[TaskKind.SEGMENTER].folder)[1].to(device)
    truth = [view_case(case, dataset.problem) for case in (*dataset.validation, *_prepared_test_cases(context))]
    alive()
    made = read_database(context.store / kinds[TaskKind.DATABASE].folder, dataset.table.lesion)
    sets = ([view_case(case, dataset.problem) for case in cases] for cases in (made, dataset.train[: task.cases]))
    synthetic, training = (_images(views) for views in sets)

    def look(images: np.ndarray, brain: np.ndarray | None = None) -> Features:
        alive()
        return deep_features(segmenter, images, brain)

    said: dict[str, Any] = {
        "memorisation": audit(
            synthetic, training, _images(truth), lambda images: look(images).rows, task.seed
        ).model_dump(),
        "image_quality": None,
    }
    if TaskKind.TRANSLATOR in kinds:
        translator = load_model(context.store / kinds[TaskKind.TRANSLATOR].folder)[1].to(device)
        seed_everything(task.seed)
        stochastic = spec_of(task.architecture).stochastic
        translated = []
        for view in truth:
            alive()
            translated.append(render(translator, view.labels, stochastic))
        measures = ImageComparison(truth, dataset.table.lesion, look)
        said["image_quality"] = _finite(measures.translated(translated).model_dump())
        said["true_contrast"] = _finite(measures.contrast(truth).model_dump())
    return said


def _images(views: list[View]) -> np.ndarray:
    return np.concatenate([view.image for view in views])


def _finite(said: Any) -> Any:
    """The same without measures that are not numbers, as the contrast is where no case shows a lesion."""
    if not isinstance(said, dict):
        return said
    if any(isinstance(value, float) and not math.isfinite(value) for value in said.values()):
        return None
    return {name: _finite(value) for name, value in said.items()}


_WORK = {
    TaskKind.GENERATOR: _train,
    TaskKind.TRANSLATOR: _train,
    TaskKind.SEGMENTER: _train,
    TaskKind.DATABASE: _database,
    TaskKind.QUALITY: _quality,
}
