"""Runs a study from data to report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from strokereg.core.cohort.cohort import Cohort
from strokereg.core.report import write_report
from strokereg.core.report.results import Results
from strokereg.core.report.table import write_csv
from strokereg.core.report.table_files import write_tables
from strokereg.core.storage.files import make_folder, write_json
from strokereg.core.study.collect import collect, examples, histories, read_curves
from strokereg.core.study.context import make_context
from strokereg.core.study.executor import Executor, StudyCallbacks
from strokereg.core.study.pictures import draw_sheets
from strokereg.core.study.plan import make_plan
from strokereg.core.study.settings import StudySettings
from strokereg.core.study.store import adopt, known_stores, note_study
from strokereg.core.study.volumes import gather_volumes


@dataclass(frozen=True)
class Finished:
    """A finished study: what it found, and where that lies."""

    results: Results
    json: Path
    csv: Path
    report: Path


def run_study(
    settings: StudySettings,
    cohort: Cohort,
    out: Path,
    cache: Path,
    executor: Executor,
    callbacks: StudyCallbacks,
    external: Cohort | None = None,
    command: str = "",
    store: Path | None = None,
    notes: Path | None = None,
) -> Finished:
    """Do whatever of the study is not done yet, then write `results.json`, `results.csv`, tables and `report.html`.

    Args:
        out: folder of the study.
        store: of every training and database, found again by content; by default `runs` in `out`.
        notes: folder in which stores are noted, so that studies find each other's work; None to be alone.
        cache: where prepared cases are kept.
        executor, callbacks: who does the work, and who is told of it.
        external: a cohort of another origin to evaluate on as well.

    Raises:
        InputError: data or settings that cannot be used; nothing is written then but finished trainings.
    """
    context = make_context(settings, cohort, store or out / "runs", cache, external, callbacks.preparing)
    make_folder(out)
    write_json(out / "study.json", json.loads(settings.model_dump_json()))
    plan = make_plan(context)
    if notes is not None:
        adopt(context, plan, known_stores(notes))
        note_study(out, context, plan, notes)
    callbacks.planned(plan)
    failures = executor.run(context, plan.tasks.values(), callbacks)
    curves = read_curves(context, plan)
    results = collect(context, plan, cohort, failures, command, external, curves)
    results.write(out / "results.json")
    write_csv(results, out / "results.csv")
    write_tables(results, out)
    left = examples(context, plan)
    shown = draw_sheets(context, plan, left), gather_volumes(context, plan, left)
    report = write_report(out, results, histories(plan, curves), *shown)
    return Finished(results, out / "results.json", out / "results.csv", report)
