"""Work is found across studies, and what none needs any more can be cleared away."""

from __future__ import annotations

import shutil

from filelock import FileLock

from strokereg.core.report.results import Results
from strokereg.core.study.store import collect_garbage, known_stores, list_runs


def content(path):
    return Results.read(path).model_copy(update={"timing": {}})


def test_another_study_does_nothing_again(small_study, small_notes, small_cohort, tmp_path, run_small):
    """Not even where it asks for more; what it takes is whole without the other."""
    again, here = run_small(small_cohort, tmp_path / "again", notes=small_notes)
    assert here.done == []
    assert content(again.json) == content(small_study.json)
    found = list_runs([tmp_path / "again" / "runs"])
    assert all(run.done and run.origin == str(small_study.json.parent / "runs") for run in found)
    weights = next((tmp_path / "again" / "runs").glob("segmenter-*/weights.safetensors"))
    assert weights.stat().st_nlink >= 2  # no disk is taken
    more = {"seeds": (0, 1), "models": ("carvemix",), "fresh_translators": False}
    alone, here = run_small(small_cohort, tmp_path / "more", notes=small_notes, **more)
    assert {(task.kind, task.seed) for task in here.done} == {("segmenter", 1)}
    assert len(alone.results.arms[0].seeds) == 2


def test_nothing_is_found_without_notes_or_for_another_key(small_notes, small_cohort, tmp_path, run_small, small_study):
    other = {"models": ("carvemix",), "steps": {"segmenter": 5}}
    _, here = run_small(small_cohort, tmp_path / "b", notes=small_notes, **other)
    assert {task.kind for task in here.done} == {"segmenter", "quality"}  # a segmenter lends its features to quality


def test_what_is_at_work_is_left_to_its_process(small_study, small_notes, small_cohort, tmp_path, run_small):
    name = next(run.folder.name for run in list_runs([small_study.json.parent / "runs"]) if run.kind == "segmenter")
    place = tmp_path / "out" / "runs" / name
    place.mkdir(parents=True)
    (place / "checkpoint.safetensors").touch()
    from strokereg.core.study.store import _link

    with FileLock(place / ".task.lock"):
        assert not _link(small_study.json.parent / "runs" / name, place)
        assert (place / "checkpoint.safetensors").exists()
    assert _link(small_study.json.parent / "runs" / name, place)
    assert (place / "weights.safetensors").exists()


def test_garbage_is_what_no_study_names(small_study, small_cohort, tmp_path, run_small, small_notes):
    store, notes = tmp_path / "store", tmp_path / "notes"
    source = small_study.json.parent / "runs"
    shutil.copytree(source, store, ignore=shutil.ignore_patterns(".*"))
    assert collect_garbage([store], delete=True) == ([], [store])  # no study has said anything of it
    _, here = run_small(small_cohort, tmp_path / "one", store=store, notes=notes)
    run_small(small_cohort, tmp_path / "two", store=store, notes=notes, models=("carvemix",))
    assert here.done == []
    assert known_stores(notes) == [store]
    assert collect_garbage([store], delete=False) == ([], [])
    shutil.rmtree(tmp_path / "one")
    useless, _ = collect_garbage([store], delete=False)
    left = {run.folder.name for run in list_runs([store]) if run.studies}
    kinds = {"segmenter", "database", "generator", "translator", "quality"}
    assert {place.name.split("-")[0] for place in useless} == kinds
    crashed = store / sorted(left)[0] / ".building-0"
    crashed.mkdir()
    collect_garbage([tmp_path / "two"], delete=False)
    assert crashed.exists()
    collect_garbage([tmp_path / "two"], delete=True)
    assert {run.folder.name for run in list_runs([store])} == left
    assert not crashed.exists()
