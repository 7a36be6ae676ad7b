"""Work is found across studies, and what none needs any more can be cleared away."""

from __future__ import annotations

import json
import shutil

import pytest
from filelock import FileLock

from strokereg.core.report.results import Results
from strokereg.core.study.store import TASKS, arms_of, collect_garbage, find_arm, known_stores, list_runs
from strokereg.core.train.record import Record
from strokereg.registry.errors import InputError


def content(path):
    return Results.read(path).model_copy(update={"timing": {}})


def test_another_study_does_nothing_again(small_study, small_notes, small_cohort, tmp_path, run_small):
    """Not even where it asks for more; what it takes is whole without the other."""
    again, here = run_small(small_cohort, tmp_path / "again", notes=small_notes)
    assert here.done == []
    assert content(again.json) == content(small_study.json)
    found = list_runs([tmp_path / "again" / "runs"])
    assert all(run.state == "done" and run.origin == str(small_study.json.parent / "runs") for run in found)
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


@pytest.fixture
def noted(unet_run, tmp_path):
    """A study with two arms for 3 and 10 cases each, in two seeds; the second seed is better on validation cases."""
    arms = []
    for cases in (3, 10):
        for name in ("clinical only", "pix2pix, clinical + synthetic"):
            runs = {}
            for seed, dice in ((0, 0.3), (1, 0.4)):
                runs[str(seed)] = f"segmenter-unet-{len(arms)}-{seed}"
                place = shutil.copytree(unet_run, tmp_path / "store" / runs[str(seed)])
                Record.read(place).model_copy(update={"validation_dice": dice}).write(place)
            arms.append({"name": name, "cases": cases, "runs": runs})
    (tmp_path / TASKS).write_text(json.dumps({"store": str(tmp_path / "store"), "folders": [], "arms": arms}))
    return tmp_path


@pytest.mark.parametrize(
    "arm", ["pix2pix, n = 10", "PIX2PIX,  n=10", "pix2pix, clinical + synthetic, n\u00a0=\u00a010"]
)
def test_an_arm_is_found_by_its_name_or_parts_of_it(noted, arm):
    assert find_arm(noted, arm, 0).name == "segmenter-unet-3-0"
    assert find_arm(noted, arm).name == "segmenter-unet-3-1"
    unfinished = noted / "store" / "segmenter-unet-3-1"
    Record.read(unfinished).model_copy(update={"done": False}).write(unfinished)
    assert find_arm(noted, arm).name == "segmenter-unet-3-0"


@pytest.mark.parametrize(
    ("arm", "seed", "said"),
    [
        (
            None,
            None,
            "name an arm; choose one of --arm 'clinical only, n = 3'; 'pix2pix, clinical \\+ synthetic, n = 3';",
        ),
        ("pix2pix", None, "several arms fit; choose one of --arm 'pix2pix, clinical \\+ synthetic, n = 3'; 'pix2pix"),
        ("spade", None, "--arm 'spade': no such arm; choose one of --arm 'clinical only, n = 3'"),
        ("clinical only, n = 3", 7, "--seed 7: the arm has the seeds 0, 1; choose one"),
    ],
)
def test_an_arm_that_is_not_there_or_not_the_only_one(noted, arm, seed, said):
    with pytest.raises(InputError, match=said):
        find_arm(noted, arm, seed)


def test_a_folder_that_is_no_study_and_an_arm_that_is_not_trained(noted, tmp_path_factory):
    with pytest.raises(InputError, match="is not the folder of a study; give the --out"):
        find_arm(tmp_path_factory.mktemp("empty"), "clinical only")
    shutil.rmtree(noted / "store")
    with pytest.raises(InputError, match="no training of 'clinical only, n = 3' is finished; run the study again"):
        find_arm(noted, "clinical only, n = 3")


def test_a_study_notes_its_arms(small_study):
    arms = arms_of(small_study.json.parent)
    assert [(arm.name, arm.cases) for arm in arms] == [(arm.name, arm.cases) for arm in small_study.results.arms]
    assert all((place / "weights.safetensors").is_file() for arm in arms for place in arm.runs.values())
