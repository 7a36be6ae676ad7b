"""Trains translators side by side and compares their images with the real ones of held-out cases.

Every translator gets the same cases, steps and batches. Distances between sets of images use features of a segmenter
that was trained on the same clinical cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.evaluate.image_metrics import deep_features
from strokereg.core.evaluate.image_quality import ImageComparison, ImageQuality, Interval, View
from strokereg.core.evaluate.views import view_case
from strokereg.core.scan.pictures import Sheet, SheetRow, label_colours, label_legend, window
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.scan.view import Convention
from strokereg.core.storage.cache import cache_folder
from strokereg.core.storage.files import in_own_folder, keep_foreign, make_folder, write_json
from strokereg.core.study.compare import DEFAULTS, RunOptions
from strokereg.core.study.context import StudyContext, make_context
from strokereg.core.study.local import LocalExecutor
from strokereg.core.study.plan import Plan, PlannedTraining, Task, TaskKind, plan_training
from strokereg.core.study.settings import study_settings, typed_options
from strokereg.core.study.slots import default_slots
from strokereg.core.study.tasks import outcome
from strokereg.core.synthesis.cases import render
from strokereg.core.train.device import choose_device, seed_everything
from strokereg.core.train.prepared import prepare_cases
from strokereg.core.train.runs import load_model, versions
from strokereg.registry.catalogue import catalogue, find, spec_of
from strokereg.registry.errors import InputError, RunFailed
from strokereg.registry.specs import Role

#: The default folder.
OUT = Path("strokereg-images")
_SHOWN = 6  # columns of the picture sheet


class TranslatorScores(BaseModel):
    """Cost and image quality of one translator."""

    model_config = ConfigDict(extra="forbid")

    model: str
    options: dict[str, object]
    steps: int
    seconds: float
    image_quality: ImageQuality


class TranslatorEvaluation(BaseModel):
    """The scores of all translators with two references; written as `evaluation.json`.

    Attributes:
        truth: lesion contrast of the held-out images themselves.
        others: real images of the training cases, compared with the held-out ones.
        failures: translator → reason, for failed trainings.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = 1
    cohort: str
    simulated: bool
    dims: int
    size: tuple[int, ...]
    spacing: tuple[float, float, float]
    training_cases: int
    held_out: list[str]
    seed: int
    truth: Interval
    others: ImageQuality
    translators: list[TranslatorScores]
    failures: dict[str, str]
    versions: dict[str, str]
    command: str


def evaluate_translators(
    data: Path | str,
    models: Sequence[str] = (),
    out: Path | str = OUT,
    preset: str = "quick",
    run: RunOptions = DEFAULTS,
    **changes: Any,
) -> TranslatorEvaluation:
    """Train translators on the training cases of a cohort, and compare their images with the real ones of other cases.

    Writes `evaluation.json` and `sheet.png`. Called again, it finds finished trainings.

    Args:
        data: cohort folder.
        models: translators; none stands for all that are installed and fit `dims`.
        out: folder of the results and of the runs.
        preset, **changes: see `study_settings`. The first seed counts; cases, arms and generators do not.
        run: workers, callbacks, command and convention; the rest does not matter here.

    Raises:
        InputError: unknown model, wrong options, or data that cannot be used.
        RunFailed: the segmenter whose features are needed could not be trained.
    """
    dims, out = changes.get("dims") or 2, Path(out)
    fitting = [name for name in catalogue().available(role=Role.TRANSLATOR) if dims in spec_of(name).dims]
    settings = study_settings(preset, **{**changes, "models": tuple(models or fitting), "cases": (0,)})
    keep_foreign([out / "evaluation.json", out / "sheet.png"], in_own_folder("evaluation.json", "versions"))
    known = {settings.segmenters[0]: find(settings.segmenters[0], Role.SEGMENTER)}
    known |= {name: find(name, Role.TRANSLATOR) for name in settings.models}
    for name in changes.get("options") or {}:
        if name not in known:
            raise InputError(f"--set {name}.…: {name} is not among the models; name it with --models")
    settings = typed_options(settings, known)
    here = choose_device(settings.device)
    executor = LocalExecutor(default_slots(here, run.workers))
    device, precision = executor.resolve(settings.device, settings.precision)
    settings = settings.model_copy(update={"device": device, "precision": precision})
    cohort = open_cohort(Path(data))
    context = make_context(settings, cohort, out / "runs", None, run.callbacks.preparing)
    make_folder(out)
    plan, everything, seed = Plan(), len(context.dataset.train), settings.seeds[0]
    feature_network = plan_training(
        plan, context, PlannedTraining(TaskKind.SEGMENTER, settings.segmenters[0], everything, seed)
    )
    tasks = [
        plan_training(plan, context, PlannedTraining(TaskKind.TRANSLATOR, name, everything, seed))
        for name in settings.models
    ]
    run.callbacks.planned(plan, {})
    failures = executor.run(context, plan.tasks.values(), run.callbacks)
    if feature_network.key in failures:
        raise RunFailed(
            f"{feature_network.title}: {failures[feature_network.key]}; no image can be measured without its features"
        )
    tested = prepare_cases(
        context.dataset.test_files, context.dataset.preparation, context.dataset.table, cache_folder() / "prepared"
    )
    cases = [*context.dataset.validation, *tested]
    truth = [view_case(case, context.dataset.problem) for case in cases]
    segmenter = load_model(context.store / feature_network.folder)[1].to(here)
    measures = ImageComparison(truth, context.dataset.table.lesion, partial(deep_features, segmenter))
    translated = {
        task.architecture: _translate(context, task, truth, here) for task in tasks if task.key not in failures
    }
    evaluated = TranslatorEvaluation(
        cohort=cohort.name,
        simulated=cohort.simulated,
        dims=settings.dims,
        size=context.dataset.problem.size,
        spacing=settings.spacing,
        training_cases=everything,
        held_out=[case.name for case in cases],
        seed=seed,
        truth=measures.contrast(truth),
        others=measures.other_cases([view_case(case, context.dataset.problem) for case in context.dataset.train]),
        translators=[
            TranslatorScores(
                model=task.architecture,
                options=settings.options.get(task.architecture, {}),
                steps=task.steps,
                seconds=outcome(context, task)["seconds"],
                image_quality=measures.translated(translated[task.architecture]),
            )
            for task in tasks
            if task.architecture in translated
        ],
        failures={task.architecture: failures[task.key] for task in tasks if task.key in failures},
        versions=versions(),
        command=run.command,
    )
    write_json(out / "evaluation.json", evaluated.model_dump(mode="json"))
    sheet = _sheet(context, evaluated.held_out, truth, translated, run.convention)
    warning = "Simulated cohort: these are not clinical images." if cohort.simulated else ""
    write_sheet(replace(sheet, warning=warning), out / "sheet.png")
    return evaluated


def _translate(context: StudyContext, task: Task, views: Sequence[View], here: torch.device) -> list[np.ndarray]:
    """A translator's images of the same label maps, one noise vector a slice or volume."""
    model = load_model(context.store / task.folder)[1].to(here)
    seed_everything(task.seed)
    stochastic = spec_of(task.architecture).stochastic
    return [render(model, view.labels, stochastic) for view in views]


def _sheet(
    context: StudyContext,
    names: Sequence[str],
    truth: Sequence[View],
    translated: Mapping[str, Sequence[np.ndarray]],
    convention: Convention,
) -> Sheet:
    """Rows: label map, true image, translators; columns: the held-out cases with the largest lesions on a slice."""
    lesion, count = context.dataset.table.lesion, context.dataset.table.count
    planes = []  # (lesion area, case, its axial planes: labels [Y, X] and a way to the same plane of an image)
    for number, view in enumerate(truth):
        flat = view.labels[0] if context.settings.dims == 3 else view.labels
        area = (flat == lesion).sum(axis=(1, 2))
        planes.append((int(area.max()), number, int(area.argmax())))
    chosen = sorted(sorted(planes, reverse=True)[:_SHOWN], key=lambda plane: plane[1])

    def plane(images: np.ndarray, z: int) -> np.ndarray:
        return images[0, 0, z] if context.settings.dims == 3 else images[z, 0]

    def row(label: str, images: Sequence[np.ndarray]) -> SheetRow:
        return SheetRow(label, [window(convention.turn(plane(images[n], z)), -1, 1) for _, n, z in chosen])

    labels = [truth[n].labels[0, z] if context.settings.dims == 3 else truth[n].labels[z] for _, n, z in chosen]
    return Sheet(
        title="Held-out label maps, translated",
        caption="One axial slice of each held-out case: the label map, the real image, and the image of each "
        "translator.",
        columns=[names[n] for _, n, _ in chosen],
        rows=[
            SheetRow("label map", [label_colours(convention.turn(plane), count) for plane in labels]),
            row("real image", [view.image for view in truth]),
            *(row(model, images) for model, images in translated.items()),
        ],
        legend=label_legend(context.dataset.table.names),
        convention=convention,
    )
