"""A finished study, made once: every kind of task, as small as it gets, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.storage.cache import cache_folder
from strokereg.core.study.compare import settle
from strokereg.core.study.context import make_context
from strokereg.core.study.executor import NoCallbacks
from strokereg.core.study.run import run_study
from strokereg.core.study.tasks import is_done, perform


class Here:
    """An executor without processes; remembers what it had to do."""

    def __init__(self):
        self.done = []

    def run(self, stage, tasks, callbacks):
        known = {task.key: task for task in tasks}
        for task in known.values():
            if not is_done(stage, task):
                perform(stage, task, {key: known[key] for key in task.needs}, lambda *said: None)
                self.done.append(task)
        return {}


def small_settings(cohort, **changes):
    """An untrained translator and a mixer, four steps of a thin segmenter."""
    asked = {"models": ("random-contrast", "carvemix"), "steps": {"segmenter": 4, "generator": 2}, **changes}
    return settle(asked.pop("models"), cohort, "smoke", **asked)


@pytest.fixture(scope="session")
def small():
    """`small(cohort, **changes)` → settings of the small study."""
    return small_settings


@pytest.fixture(scope="session")
def small_context():
    """`small_context(cohort, store, **changes)` → the stage of a study."""

    def do(cohort: Path, store: Path, **changes):
        settings = small_settings(cohort, **changes)
        return make_context(settings, open_cohort(cohort), store, cache_folder() / "prepared")

    return do


@pytest.fixture(scope="session")
def run_small():
    """`run_small(cohort, out, **changes)` → what came out, and the executor."""

    def run(cohort: Path, out: Path, store: Path | None = None, notes: Path | None = None, **changes):
        settings = small_settings(cohort, **changes)
        here = Here()
        finished = run_study(
            settings, open_cohort(cohort), out, cache_folder() / "prepared", here, NoCallbacks(),
            command="test", store=store, notes=notes,
        )  # fmt: skip
        return finished, here

    return run


@pytest.fixture(scope="session")
def small_notes(tmp_path_factory) -> Path:
    """Where the small study's store is noted."""
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="session")
def small_study(small_cohort, tmp_path_factory, run_small, small_notes):
    """The finished study; nobody writes into its folder."""
    return run_small(small_cohort, tmp_path_factory.mktemp("small") / "out", notes=small_notes)[0]
