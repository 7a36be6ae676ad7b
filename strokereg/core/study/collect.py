"""Collects the outcomes of tasks into results, curves and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from strokereg.core.report import History
from strokereg.core.report.results import (
    Arm,
    Failure,
    Provenance,
    Quality,
    Results,
    Run,
    SeedScores,
    Study,
)
from strokereg.core.report.summary import summarise
from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import Plan, Task, TaskKind
from strokereg.core.study.tasks import SPENT, examples_path, is_done, outcome
from strokereg.core.train.record import HISTORY
from strokereg.core.train.runs import versions
from strokereg.core.train.tracking import VALIDATION_DICE, series
from strokereg.registry.catalogue import find

#: Loss name → (step, value) in order of steps.
Curves = dict[str, list[tuple[int, float]]]


def collect(
    context: StudyContext,
    plan: Plan,
    failures: Mapping[str, str],
    command: str,
    curves: Mapping[str, Curves],
) -> Results:
    """The results of a study. They do not depend on when and in which order the tasks were done.

    Args:
        curves: see `read_curves`.
    """
    arms = []
    for planned in plan.arms:
        arm = planned.settings
        seeds = [
            SeedScores.model_validate({"seed": task.seed, **_scores(outcome(context, task))})
            for task in planned.segmenters
            if is_done(context, task)
        ]
        arms.append(
            Arm(
                name=planned.name,
                training=arm.training,
                translator=arm.model,
                generator=arm.generator,
                segmenter=arm.segmenter,
                public=arm.public,
                synthetic=arm.share,
                compose=arm.compose,
                cases=planned.cases,
                seeds=seeds,
            )
        )
    results = summarise(_study(context), arms)
    results.synthesis = _synthesis(context, plan)
    results.quality = _quality(context, plan)
    results.runs = [_run(plan.tasks[key], found, outcome(context, plan.tasks[key])) for key, found in curves.items()]
    results.failures = [
        Failure(what=task.title, reason=failures[key]) for key, task in plan.tasks.items() if key in failures
    ]
    results.provenance = Provenance(command=command, versions=versions() | _plugins(context))
    results.timing = {
        f"{task.title} [{task.key[:8]}]": outcome(context, task)["seconds"]
        for task in plan.tasks.values()
        if is_done(context, task)
    }
    return results


def read_curves(context: StudyContext, plan: Plan) -> dict[str, Curves]:
    """Task key → loss name → (step, value), of every finished training in the order of the plan."""
    trained = [task for task in plan.tasks.values() if task.kind in context.settings.budgets and is_done(context, task)]
    return {task.key: series(context.store / task.folder / HISTORY) for task in trained}


def histories(plan: Plan, curves: Mapping[str, Curves]) -> list[History]:
    """Loss curves for the report, one per training, with names short enough for a small panel."""
    shown: list[History] = []
    for key, found in curves.items():
        dice = found.get(VALIDATION_DICE)
        found = {name: points for name, points in found.items() if name != VALIDATION_DICE}
        if len({name.split("/")[0] for name in found}) == 1:  # one player needs no naming
            found = {name.split("/")[1].replace("_", " "): points for name, points in found.items()}
        if dice:
            found["validation Dice"] = dice
        task = plan.tasks[key]
        what = task.trained_on if task.kind is TaskKind.SEGMENTER else task.architecture
        shown.append({"title": f"{what} ({task.cases}), seed {task.seed}", "series": found})
    return shown


def examples(context: StudyContext, plan: Plan) -> dict[str, dict[str, np.ndarray]]:
    """Task key → name → plane, for tasks that have pictures."""
    found = {}
    for task in plan.tasks.values():
        path = examples_path(context, task)
        if is_done(context, task) and path.is_file():
            with np.load(path) as planes:
                found[task.key] = dict(planes)
    return found


def _scores(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("postprocessing", "cases", "external")}


def _study(context: StudyContext) -> Study:
    settings = context.settings
    return Study(
        models=list(settings.models),
        generators=list(settings.generators),
        segmenters=list(settings.segmenters),
        shares=list(settings.shares),
        compose=list(settings.compose),
        public=dict(context.public.facts),
        preset=settings.preset,
        cases=sorted({arm or len(context.dataset.train) for arm in settings.cases}),
        seeds=list(settings.seeds),
        validation_cases=len(context.dataset.validation),
        start=f"{context.start.run}, trained on {context.start.cohort}" if context.start else "",
        steps={role: budget.steps for role, budget in settings.budgets.items()},
        augment={role: dict(budget.augment) for role, budget in settings.budgets.items() if budget.augment},
        spacing=settings.spacing,
        cohort=context.facts,
        external=context.external_facts,
        synthesis_saw="all training cases" if settings.all_for_synthesis else "the arm's cases",
    )


def _synthesis(context: StudyContext, plan: Plan) -> dict[str, dict[str, float]]:
    notes = {}
    for task in plan.tasks.values():
        if task.kind is TaskKind.DATABASE and is_done(context, task):
            said = outcome(context, task)
            numbers = {name: value for name, value in said.items() if name not in SPENT}
            note = f"{task.note}, " if task.note else ""
            notes[f"{task.architecture} ({task.cases} cases, {note}seed {task.seed})"] = numbers
    return notes


def _quality(context: StudyContext, plan: Plan) -> list[Quality]:
    found = []
    for task in plan.tasks.values():
        if task.kind is TaskKind.QUALITY and is_done(context, task):
            said = {name: value for name, value in outcome(context, task).items() if name not in SPENT}
            about = {"model": task.architecture, "cases": task.cases, "seed": task.seed, "note": task.note}
            found.append(Quality.model_validate({**about, "public": task.public, "compose": task.compose, **said}))
    return found


def _run(task: Task, curves: Curves, said: Mapping[str, Any]) -> Run:
    return Run(
        folder=task.folder,
        role=task.kind,
        architecture=task.architecture,
        seed=task.seed,
        cases=task.cases,
        steps=max((points[-1][0] for points in curves.values()), default=0),
        losses={name: points[-1][1] for name, points in curves.items() if name != VALIDATION_DICE},
        chosen_step=said.get("chosen_step"),
        validation_dice=said.get("validation_dice"),
    )


def _plugins(context: StudyContext) -> dict[str, str]:
    used = {entry.distribution: entry.version for entry in map(find, context.code)}
    return {name: version for name, version in sorted(used.items()) if name != "strokereg"}
