"""A study from plan to results, with everything real but the size."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.storage.cache import cache_folder
from strokereg.core.study import executor
from strokereg.core.study.compare import study_settings
from strokereg.core.study.context import make_context
from strokereg.core.study.executor import LocalExecutor, NoCallbacks
from strokereg.core.study.plan import make_plan, record_of
from strokereg.core.study.run import run_study
from strokereg.registry.catalogue import forget
from strokereg.registry.errors import InputError
from strokereg.registry.local import FILES


def context_of(cohort, store, **changes):
    settings = study_settings("smoke", **{"models": ("pix2pix", "spade"), **changes})
    return make_context(settings, open_cohort(cohort), store, cache_folder() / "prepared")


def kinds(plan):
    return sorted(task.kind for task in plan.tasks.values() if task.kind != "quality")


def test_the_plan_shares_what_is_the_same(small_cohort, tmp_path):
    plan = make_plan(context_of(small_cohort, tmp_path, seeds=(0, 1), headroom=True))
    assert [(arm.settings.training, arm.settings.model, arm.cases) for arm in plan.arms] == [
        ("clinical", None, 3),
        ("synthetic", "pix2pix", 3),
        ("clinical + synthetic", "pix2pix", 3),
        ("synthetic", "spade", 3),
        ("clinical + synthetic", "spade", 3),
        ("clinical", None, 6),
    ]
    # One generator and one translator each serve both seeds and both recipes.
    assert kinds(plan) == ["database"] * 2 + ["generator"] + ["segmenter"] * 12 + ["translator"] * 2
    seen: set[str] = set()
    for task in plan.tasks.values():
        assert seen.issuperset(task.needs)
        seen.add(task.key)
    assert len({task.title for task in plan.tasks.values()}) == len(plan.tasks)
    assert "segmenter unet (3 cases, clinical + spade synthetic, seed 1)" in {t.title for t in plan.tasks.values()}
    steps = {task.steps for task in plan.tasks.values() if task.kind == "segmenter"}
    assert len(steps) == 1


def test_fresh_translators_and_all_cases_for_synthesis(small_cohort, tmp_path):
    fresh = make_plan(context_of(small_cohort, tmp_path, seeds=(0, 1), fresh_translators=True))
    assert kinds(fresh).count("translator") == 4
    loose = make_plan(context_of(small_cohort, tmp_path, all_for_synthesis=True))
    assert {task.cases for task in loose.tasks.values() if task.kind in ("generator", "translator")} == {6}
    assert {task.cases for task in loose.tasks.values() if task.kind == "segmenter"} == {3}


def test_another_augmentation_makes_other_trainings_of_that_role_alone(small_cohort, tmp_path):
    def trainings(**budgets):
        context = context_of(small_cohort, tmp_path, models=("pix2pix",), budgets=budgets)
        return context, {task.title: task for task in make_plan(context).tasks.values() if task.kind in budget_roles}

    budget_roles = ("generator", "translator", "segmenter")
    (_, usual), (_, named) = trainings(), trainings(segmenter={"augment": {}})
    assert usual == named  # keys of finished trainings stay
    context, changed = trainings(segmenter={"augment": {"motion": 0.1}})
    for title, task in changed.items():
        assert (task.key == usual[title].key) == (task.kind != "segmenter")
        augment = {"motion": 0.1} if task.kind == "segmenter" else {}
        assert record_of(context, task).trainer.get("augment", {}) == augment


def test_a_mixer_needs_neither_generator_nor_translator(small_cohort, tmp_path):
    changes = {"models": ("carvemix",), "seeds": (0, 1), "all_for_synthesis": True}
    plan = make_plan(context_of(small_cohort, tmp_path, **changes))
    assert kinds(plan) == ["database"] + ["segmenter"] * 6
    [mixture] = [task for task in plan.tasks.values() if task.kind == "database"]
    assert (mixture.needs, mixture.cases, mixture.steps) == ((), 3, 2)
    assert {arm.name for arm in plan.arms} == {"clinical only", "carvemix, synthetic", "carvemix, clinical + synthetic"}

    def other(**more):
        changed = make_plan(context_of(small_cohort, tmp_path, **changes, **more))
        return next(task.key for task in changed.tasks.values() if task.kind == "database")

    assert other() == mixture.key
    assert other(options={"mask-gan": {"ngf": 4}}) == mixture.key
    for more in (
        {"options": {"carvemix": {"outer": 0.5}}},
        {"synthetic_cases": 3},
        {"cases": (4,)},
        {"spacing": (7.0,) * 3},
    ):
        assert other(**more) != mixture.key
    beside = make_plan(context_of(small_cohort, tmp_path, models=("carvemix", "random-contrast")))
    assert kinds(beside) == ["database"] * 2 + ["generator"] + ["segmenter"] * 5 + ["translator"]


def keys(*arguments, **changes):
    plan = make_plan(context_of(*arguments, **changes))
    return {task.title: key for key, task in plan.tasks.items()}


def test_keys_follow_content_and_settings_and_nothing_else(small_cohort, tmp_path):
    first = keys(small_cohort, tmp_path / "a")
    moved = shutil.copytree(small_cohort, tmp_path / "elsewhere")
    assert keys(moved, tmp_path / "b") == first

    def changed(**changes):
        other = keys(small_cohort, tmp_path / "a", **changes)
        return {title.split()[1] for title in first if other[title] != first[title] and "quality" not in title}

    assert changed(steps={"segmenter": 61}) == {"unet"}
    assert changed(options={"mask-gan": {"ngf": 4}}) == {"mask-gan", "pix2pix", "spade", "unet"}
    unet = [title for title, key in keys(small_cohort, tmp_path, options={"spade": {"ngf": 4}}).items()
            if key != first[title] and "unet" in title]  # fmt: skip
    assert len(unet) == 2  # the two arms of spade; pix2pix and clinical only stay
    mask = open_cohort(moved).part("test")[0].mask
    volume = read_volume(mask)
    write_volume(mask, volume.data * 0, volume.affine)
    before = make_plan(context_of(small_cohort, tmp_path)).tasks
    after = make_plan(context_of(moved, tmp_path)).tasks
    before, after = ({k: t for k, t in tasks.items() if t.kind != "quality"} for tasks in (before, after))
    assert list(after) == list(before)  # another truth to evaluate by needs no other training …
    assert all((after[key].evaluated != task.evaluated) == (task.kind == "segmenter") for key, task in before.items())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"cases": (7,)}, "has 6 training cases"),
        ({"options": {"pix2pix": {"ngf": -1}}}, "pix2pix: option ngf=-1"),
        ({"options": {"pix2pix": {"nfg": 8}}}, r"no option 'nfg' \(did you mean ngf"),
        ({"channels": ("dwi", "flair")}, "has no flair image"),
        ({"precision": "fp16"}, "needs a CUDA GPU"),
    ],
)
def test_wrong_settings_show_before_any_work(small_cohort, tmp_path, changes, fault):
    with pytest.raises(InputError, match=fault):
        context_of(small_cohort, tmp_path / "store", **changes)
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_untrained_translators_and_mixers_go_all_the_way(small_cohort, tmp_path):
    budgets = {"segmenter": {"steps": 4, "augment": {"shading": 0.1}}}
    settings = study_settings("smoke", models=("random-contrast", "carvemix"), budgets=budgets)

    def run():
        return run_study(
            settings, open_cohort(small_cohort), tmp_path / "out", cache_folder() / "prepared",
            LocalExecutor(2), NoCallbacks(), command="test",
        )  # fmt: skip

    finished = run()
    results = finished.results
    assert results.failures == []
    assert [(arm.training, arm.translator) for arm in results.arms] == [
        ("clinical", None),
        ("synthetic", "random-contrast"),
        ("clinical + synthetic", "random-contrast"),
        ("synthetic", "carvemix"),
        ("clinical + synthetic", "carvemix"),
    ]
    assert all(len(arm.seeds) == 1 for arm in results.arms)
    steps = {run.architecture: run.steps for run in results.runs}
    assert steps == {"mask-gan": 6, "random-contrast": 0, "unet": 4}
    assert results.study.augment == {"segmenter": {"shading": 0.1}}
    notes = results.synthesis
    assert notes["carvemix (3 cases, seed 0)"]["lesions"] == 2
    assert "held_out_l1" in notes["random-contrast (3 cases, seed 0)"]
    assert "held_out_l1" not in notes["carvemix (3 cases, seed 0)"]
    page = finished.report.read_text()
    for part in (
        "Training cases, mixed",
        "carvemix: sub-",
        "Label maps of validation cases, translated",
        "shading 0.1",
    ):
        assert part in page
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("*.npy")}
    assert len(before) == 2 * 2 * 2  # two databases of two cases, image and labels
    again = run().results
    assert again.model_copy(update={"timing": {}}) == results.model_copy(update={"timing": {}})
    assert {path: path.stat().st_mtime_ns for path in before} == before


FAULTS = {
    "raises": "RuntimeError: the plugin is broken",
    "refuses": "its sizes are multiples of 1000; choose --patch accordingly",
    "nan": "the loss 'l2' of 'painter' became nan",
    "nan-painted": "the translator returned NaN or infinite values; look at its losses",
    "hangs": "hung after step 4 of 6: no sign of life for 2 s",
    "dies-always": "died again and again",
}


@pytest.mark.slow
def test_failing_translators_fail_their_arms_only(small_cohort, tmp_path, monkeypatch):
    """All at once, beside one whose process died by chance, which is taken up again."""
    helpers = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", helpers)  # for the workers
    monkeypatch.setenv("FAULTY_MARK", str(tmp_path / "mark"))
    monkeypatch.syspath_prepend(helpers)
    monkeypatch.setenv(FILES, f"{helpers}/faulty.py")
    forget()
    import faulty

    monkeypatch.setattr(executor, "Patience", faulty.Impatient)
    models = (*FAULTS, "dies-once")
    settings = study_settings("smoke", models=models, steps={"segmenter": 4, "generator": 2}, quality=False)
    finished = run_study(
        settings, open_cohort(small_cohort), tmp_path / "out", cache_folder() / "prepared",
        LocalExecutor(2), NoCallbacks(), command="test",
    )  # fmt: skip
    whole = {arm.name for arm in finished.results.arms if arm.seeds}
    assert whole == {"clinical only", "dies-once, synthetic", "dies-once, clinical + synthetic"}
    assert len(finished.results.arms) == 1 + 2 * len(models)
    told = [(failure.what, failure.reason) for failure in finished.results.failures]
    for how, reason in FAULTS.items():
        mine = [said for what, said in told if how in what.replace(",", " ").split()]
        assert reason in mine[0], mine
        assert all("which failed" in said for said in mine[1:])
        assert len(mine) == 4 - (how == "nan-painted")  # translator, database, two segmenters
    assert "faulty.py" in finished.results.provenance.versions
    assert "hung after step 4 of 6" in finished.report.read_text()
    sys.modules.pop("faulty")
    forget()
