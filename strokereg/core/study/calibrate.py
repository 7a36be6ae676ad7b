"""What a task costs on this machine: a few timed steps of it, in as many processes as the study will use."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch import nn

from strokereg.core.evaluate.image_metrics import deep_features
from strokereg.core.evaluate.metrics import score_case
from strokereg.core.evaluate.views import view_case
from strokereg.core.roles import Mixer
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.storage.workers import end_with_parent
from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import Plan, Task, record_of
from strokereg.core.synthesis.cases import SynthesisSettings, Tally, render, synthesize_labels
from strokereg.core.synthesis.mixed import mix_case
from strokereg.core.synthesis.placement import learn_prior
from strokereg.core.train.device import choose_device
from strokereg.core.train.recipe import sampler_of
from strokereg.core.train.trainer import Trainer, TrainerSettings
from strokereg.core.train.validation import choose_postprocessing, predict_case
from strokereg.registry.catalogue import build, spec_of

_WARM, _STEPS, _SECONDS = 3, 20, 5.0  # steps that do not count, most that do, and how long they may take


@dataclass(frozen=True)
class Cost:
    """Seconds of one step (of a database: of one case), and of what comes once, as evaluation does."""

    step: float
    once: float = 0.0

    def of(self, task: Task, trained: bool = False) -> float:
        """Seconds of a whole task; `trained` leaves only what comes once."""
        return self.once + (0.0 if trained else self.step * task.steps)


class _Enough(Exception):
    """Ends a training that was only begun to be timed."""


def kind_of(task: Task) -> tuple[str, str, bool, int]:
    """What tasks of one cost have in common; a step costs the same however many cases there are, looking does not."""
    return task.kind, task.architecture, task.public, task.cases if task.kind == "quality" else 0


def calibrate(
    context: StudyContext, plan: Plan, tasks: Iterable[Task], workers: int
) -> tuple[dict[tuple, Cost], float]:
    """Time one task of each kind, in all processes at once, so that they get in each other's way as they will.

    Returns:
        Cost by `kind_of`, and the seconds until a process was ready to work.
    """
    chosen: dict[tuple, Task] = {}
    for task in tasks:
        chosen.setdefault(kind_of(task), task)
    begun = time.perf_counter()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        list(pool.map(_ready, range(workers)))
        start = time.perf_counter() - begun
        jobs = {
            kind: [pool.submit(measure, context, task, _needs(plan, task)) for _ in range(workers)]
            for kind, task in chosen.items()
        }
        costs = {kind: [job.result() for job in several] for kind, several in jobs.items()}
    return {
        kind: Cost(statistics.fmean(c.step for c in found), statistics.fmean(c.once for c in found))
        for kind, found in costs.items()
    }, start


def _ready(number: int) -> int:
    time.sleep(0.2)  # or the first process to be there would do it for all
    return number


def _needs(plan: Plan, task: Task) -> dict[str, Task]:
    return {key: plan.tasks[key] for key in task.needs}


def measure(context: StudyContext, task: Task, needs: Mapping[str, Task]) -> Cost:
    """Time a task here and now; leaves nothing behind."""
    if task.kind == "quality":
        return _look(context, task)
    if task.kind == "database":
        return _mix(context, task) if context.mixes(task.architecture) else _compose(context, task, needs)
    return _train(context, task)


def _train(context: StudyContext, task: Task) -> Cost:
    record = record_of(context, task)
    settings = TrainerSettings.model_validate(record.trainer)
    dataset = context.dataset
    # Clinical cases stand for synthetic ones, which are not there yet and cost the same.
    sampler = sampler_of(spec_of(task.architecture), dataset.problem, settings, dataset.train[: task.cases])
    model = build(task.architecture, dataset.problem, record.options)
    trained = bool(model.players())  # type: ignore[operator]
    times = [time.perf_counter()]

    def on_step(step: int, losses: dict[str, float]) -> None:
        times.append(time.perf_counter())
        # An untrained method's few looks cost unlike: the last one may read a library.
        if trained and (step >= _WARM + _STEPS or (step > _WARM and times[-1] - times[_WARM] > _SECONDS)):
            raise _Enough

    with tempfile.TemporaryDirectory() as folder:
        try:
            Trainer(model, task.architecture, sampler.batch, settings, Path(folder), on_step).fit()
        except _Enough:
            pass
        else:  # untrained, or shorter than a calibration: its whole time was taken
            whole = time.perf_counter() - times[0]
            return Cost(whole / task.steps, _judging(context, model) if task.kind == "segmenter" else 0.0)
    step = (times[-1] - times[_WARM]) / (len(times) - 1 - _WARM)
    return Cost(step, _judging(context, model.eval()) if task.kind == "segmenter" else 0.0)


def _judging(context: StudyContext, model: nn.Module) -> float:
    """Seconds to choose the postprocessing on validation cases and to evaluate all others, from one case of each."""
    dataset, flips = context.dataset, context.settings.flips
    begun = time.perf_counter()
    choose_postprocessing(model, dataset.validation_files[:1], dataset.preparation, dataset.problem.size, flips)
    chosen = time.perf_counter()
    score_case(
        predict_case(model, dataset.test_files[0], dataset.preparation, dataset.problem.size, flips), Postprocessing()
    )
    evaluated = time.perf_counter()
    others = len(dataset.test_files) + len(context.external)
    return (chosen - begun) * len(dataset.validation_files) + (evaluated - chosen) * others


def _compose(context: StudyContext, task: Task, needs: Mapping[str, Task]) -> Cost:
    dataset, device = context.dataset, choose_device(context.settings.device)
    started = time.perf_counter()
    makers = {
        need.kind: build(need.architecture, dataset.problem, context.settings.options.get(need.architecture, {}))
        for need in needs.values()
    }
    generator, translator = (makers[kind].to(device).eval() for kind in ("generator", "translator"))
    cases = dataset.train[: task.cases]
    anatomy = (context.public.anatomies if task.public else cases)[0]
    tally, prior = Tally(), learn_prior(cases, dataset.problem.dims)
    stochastic = spec_of(task.architecture).stochastic
    settings = SynthesisSettings(generator, translator, stochastic, dataset.table, dataset.problem, prior)
    begun = time.perf_counter()
    labels = synthesize_labels(anatomy, settings, (task.seed, 0), tally)
    composed = time.perf_counter()
    render(translator, labels, stochastic)
    rendered = time.perf_counter()
    # Untrained generators draw masks that fit nowhere, again and again; trained ones rarely do.
    first = tally.lesions / max(1, tally.lesions + tally.redrawn)
    return Cost((composed - begun) * first + rendered - composed, begun - started)


def _look(context: StudyContext, task: Task) -> Cost:
    """Features of one training case, for all images that are looked at; twice, since distances cost about as much."""
    dataset = context.dataset
    architecture = context.settings.segmenters[0]
    segmenter = build(architecture, dataset.problem, context.settings.options.get(architecture, {})).eval()
    begun = time.perf_counter()
    deep_features(segmenter, view_case(dataset.train[0], dataset.problem).image)
    cases = 2 * task.cases + len(dataset.validation) + len(dataset.test_files) + context.settings.synthetic_cases
    return Cost(2.0 * cases * (time.perf_counter() - begun))


def _mix(context: StudyContext, task: Task) -> Cost:
    options = context.settings.options.get(task.architecture, {})
    mixer = cast(Mixer, build(task.architecture, context.dataset.problem, options))
    begun = time.perf_counter()
    mix_case(context.dataset.train[: task.cases], 0, mixer, context.dataset.table, task.seed, Tally())
    return Cost(time.perf_counter() - begun)
