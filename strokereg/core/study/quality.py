"""How good, and how private, the images of a synthetic database are. One task for each database, beside the arms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from strokereg.core.evaluate.image_metrics import Features, deep_features
from strokereg.core.evaluate.image_quality import ImageComparison, View
from strokereg.core.evaluate.memorisation import audit
from strokereg.core.evaluate.views import view_case, view_files
from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import Task
from strokereg.core.synthesis.cases import read_database, render
from strokereg.core.train.device import choose_device, seed_everything
from strokereg.core.train.runs import load_model
from strokereg.registry.catalogue import spec_of


def measure_quality(
    context: StudyContext, task: Task, needs: Mapping[str, Task], alive: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """ImageQuality of what the translator paints for held-out label maps, and the memorisation audit of the database.

    Held out are validation and test cases; features are those of the clinical-only segmenter. A mixer paints nothing
    for other cases and has the audit only. `alive` is called now and then, as a sign of life.
    """
    kinds = {need.kind: need for need in needs.values()}
    dataset, device = context.dataset, choose_device(context.settings.device)
    segmenter = load_model(context.store / kinds["segmenter"].folder)[1].to(device)
    truth = [view_case(case, dataset.problem) for case in dataset.validation]
    truth += [view_files(files, dataset.preparation, dataset.table, dataset.problem) for files in dataset.test_files]
    made = read_database(context.store / kinds["database"].folder, dataset.table.lesion)
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
    if "translator" in kinds:
        translator = load_model(context.store / kinds["translator"].folder)[1].to(device)
        seed_everything(task.seed)
        stochastic = spec_of(task.architecture).stochastic
        painted = []
        for view in truth:
            alive()
            painted.append(render(translator, view.labels, stochastic))
        measures = ImageComparison(truth, dataset.table.lesion, look)
        said["image_quality"] = _finite(measures.painted(painted).model_dump())
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
