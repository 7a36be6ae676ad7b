"""Trains translators side by side and holds what they paint against the true images of cases that none has seen.

Every translator gets the same cases, steps and batches. Set measures look through a segmenter that was trained on the
same clinical cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from strokereg.core.cohort.cohort import Cohort, open_cohort
from strokereg.core.evaluate.image_metrics import deep_features
from strokereg.core.evaluate.image_quality import Interval, Likeness, Measures, View
from strokereg.core.evaluate.views import view_case
from strokereg.core.report import Sheet, SheetRow, label_colours, radiological, window
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.storage.cache import cache_folder
from strokereg.core.storage.files import make_folder, write_json
from strokereg.core.study.compare import study_settings, typed_options
from strokereg.core.study.context import Stage, set_stage
from strokereg.core.study.executor import Executor, LocalExecutor, Silent, Watcher, default_workers
from strokereg.core.study.plan import Plan, Task, plan_training
from strokereg.core.study.settings import StudySettings
from strokereg.core.study.tasks import outcome
from strokereg.core.synthesis.cases import render
from strokereg.core.train.device import choose_device, seed_everything
from strokereg.core.train.prepared import prepare_cases
from strokereg.core.train.runs import load_model, versions
from strokereg.registry.catalogue import catalogue, find, spec_of
from strokereg.registry.errors import InputError, RunFailed

#: Where it goes when nobody says where.
OUT = Path("strokereg-images")
_SHOWN = 6  # columns of the picture sheet


class Painter(BaseModel):
    """One translator: what it cost and how like the truth its images are."""

    model_config = ConfigDict(extra="forbid")

    model: str
    options: dict[str, object]
    steps: int
    seconds: float
    likeness: Likeness


class Painters(BaseModel):
    """All of them beside the scale's two ends; written as `judge.json`.

    Attributes:
        truth: lesion contrast of the held-out images themselves.
        others: real images of the training cases held against the held-out ones.
        failures: translator → reason, of those whose training did not hold.
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
    others: Likeness
    painters: list[Painter]
    failures: dict[str, str]
    versions: dict[str, str]
    command: str


def evaluate_translators(
    data: Path | str,
    models: Sequence[str] = (),
    out: Path | str = OUT,
    preset: str = "quick",
    workers: int | None = None,
    watcher: Watcher | None = None,
    command: str = "",
    **changes: Any,
) -> Painters:
    """Train translators on the training cases of a cohort and judge their images of all other cases.

    Args:
        data: cohort folder.
        models: translators; none stands for all that are installed and fit `dims`.
        out: folder of the runs, of `judge.json` and `sheet.png`; called again on it, finished work is found.
        preset, **changes: see `core.study.compare.study_settings`.
        workers: processes; by default one a core, or one on a GPU.
        watcher: told how it goes; see `core.study.executor.Watcher`.
        command: as `judge.json` shows it.

    Raises:
        InputError: unknown model, wrong options, or data that cannot be used.
        RunFailed: the segmenter that lends its features could not be trained.
    """

    dims = changes.get("dims") or 2
    fitting = [name for name in catalogue().available(role="translator") if dims in spec_of(name).dims]
    settings = study_settings(preset, models=tuple(models or fitting), **changes)
    roles = {settings.segmenters[0]: "segmenter"} | dict.fromkeys(settings.models, "translator")
    registered = {name: find(name, role) for name, role in roles.items()}
    for name in changes.get("options") or {}:
        if name not in registered:
            raise InputError(f"--set {name}.…: {name} is not among the models; name it with --models")
    settings = typed_options(settings, registered)
    return _evaluate(
        settings, open_cohort(Path(data)), Path(out), cache_folder() / "prepared",
        LocalExecutor(workers or default_workers(choose_device(settings.device))), watcher or Silent(), command,
    )  # fmt: skip


def _evaluate(
    settings: StudySettings,
    cohort: Cohort,
    out: Path,
    cache: Path,
    executor: Executor,
    watcher: Watcher,
    command: str = "",
) -> Painters:
    """Train `settings.models` on all training cases, judge them on all others, write `judge.json` and `sheet.png`.

    Args:
        settings: the first seed counts; cases, arms and generator do not.
        out, cache, executor, watcher: as in `core.study.run.run_study`.

    Raises:
        InputError: data or settings that cannot be used.
        RunFailed: the segmenter that lends its features could not be trained.
    """
    stage = set_stage(settings, cohort, out / "runs", cache, None, watcher.preparing)
    make_folder(out)
    plan, everything, seed = Plan(), len(stage.ready.train), settings.seeds[0]
    eye = plan_training(plan, stage, "segmenter", settings.segmenters[0], everything, seed)
    tasks = [plan_training(plan, stage, "translator", name, everything, seed) for name in settings.models]
    watcher.planned(plan)
    failures = executor.run(stage, plan.tasks.values(), watcher)
    if eye.key in failures:
        raise RunFailed(f"{eye.title}: {failures[eye.key]}; nothing can be measured without its features")
    tested = prepare_cases(stage.ready.test_files, stage.ready.preparation, stage.ready.table, cache)
    cases = [*stage.ready.validation, *tested]
    truth = [view_case(case, stage.ready.problem) for case in cases]
    segmenter = load_model(stage.store / eye.folder)[1].to(choose_device(settings.device))
    measures = Measures(truth, stage.ready.table.lesion, partial(deep_features, segmenter))
    painted = {task.architecture: _paint(stage, task, truth) for task in tasks if task.key not in failures}
    judged = Painters(
        cohort=cohort.name,
        simulated=cohort.simulated,
        dims=settings.dims,
        size=stage.ready.problem.size,
        spacing=settings.spacing,
        training_cases=everything,
        held_out=[case.name for case in cases],
        seed=seed,
        truth=measures.contrast(truth),
        others=measures.other_cases([view_case(case, stage.ready.problem) for case in stage.ready.train]),
        painters=[
            Painter(
                model=task.architecture,
                options=settings.options.get(task.architecture, {}),
                steps=task.steps,
                seconds=outcome(stage, task)["seconds"],
                likeness=measures.painted(painted[task.architecture]),
            )
            for task in tasks
            if task.architecture in painted
        ],
        failures={task.architecture: failures[task.key] for task in tasks if task.key in failures},
        versions=versions(),
        command=command,
    )
    write_json(out / "judge.json", judged.model_dump(mode="json"))
    write_sheet(_sheet(stage, judged.held_out, truth, painted), out / "sheet.png")
    return judged


def _paint(stage: Stage, task: Task, views: Sequence[View]) -> list[np.ndarray]:
    """A translator's images of the same label maps, one noise vector a slice or volume."""
    model = load_model(stage.store / task.folder)[1].to(choose_device(stage.settings.device))
    seed_everything(task.seed)
    stochastic = spec_of(task.architecture).stochastic
    return [render(model, view.labels, stochastic) for view in views]


def _sheet(
    stage: Stage, names: Sequence[str], truth: Sequence[View], painted: Mapping[str, Sequence[np.ndarray]]
) -> Sheet:
    """Rows: label map, true image, translators; columns: the held-out cases with the largest lesions on a slice."""
    lesion, count = stage.ready.table.lesion, stage.ready.table.count
    planes = []  # (lesion area, case, its axial planes: labels [Y, X] and a way to the same plane of an image)
    for number, view in enumerate(truth):
        flat = view.labels[0] if stage.settings.dims == 3 else view.labels
        area = (flat == lesion).sum(axis=(1, 2))
        planes.append((int(area.max()), number, int(area.argmax())))
    chosen = sorted(sorted(planes, reverse=True)[:_SHOWN], key=lambda plane: plane[1])

    def plane(images: np.ndarray, z: int) -> np.ndarray:
        return images[0, 0, z] if stage.settings.dims == 3 else images[z, 0]

    def row(label: str, images: Sequence[np.ndarray]) -> SheetRow:
        return {"label": label, "images": [window(radiological(plane(images[n], z)), -1, 1) for _, n, z in chosen]}

    labels = [truth[n].labels[0, z] if stage.settings.dims == 3 else truth[n].labels[z] for _, n, z in chosen]
    return {
        "title": "Held-out label maps, translated",
        "caption": "",
        "columns": [names[n] for _, n, _ in chosen],
        "rows": [
            {"label": "label map", "images": [label_colours(radiological(plane), count) for plane in labels]},
            row("true image", [view.image for view in truth]),
            *(row(model, images) for model, images in painted.items()),
        ],
    }
