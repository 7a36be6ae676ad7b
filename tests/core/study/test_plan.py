"""Which arms a study has, which tasks they need, and what tasks share."""

from __future__ import annotations

import shutil

import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.study import context as context_module
from strokereg.core.study.context import make_context
from strokereg.core.study.plan import list_arms, make_plan, record_of
from strokereg.core.study.settings import study_settings
from strokereg.registry.errors import InputError


def names(mixers=(), **changes):
    settings = study_settings("smoke", **changes)
    return [arm.name(settings) for arm in list_arms(settings, frozenset(mixers))]


def test_an_axis_is_named_only_where_it_varies():
    assert names(models=("spade",)) == ["clinical only", "spade, synthetic", "spade, clinical + synthetic"]
    several = names(models=("carvemix",), mixers=("carvemix",), shares=(0.2, 0.5), segmenters=("unet", "dynunet"))
    assert several == [
        "clinical only, unet",
        "carvemix, synthetic, unet",
        "carvemix, clinical + synthetic, 20% of each batch, unet",
        "carvemix, clinical + synthetic, 50% of each batch, unet",
        "clinical only, dynunet",
        "carvemix, synthetic, dynunet",
        "carvemix, clinical + synthetic, 20% of each batch, dynunet",
        "carvemix, clinical + synthetic, 50% of each batch, dynunet",
    ]


def test_translated_and_edited_are_arms_of_their_own_and_mixers_have_neither():
    compose = ("translated", "edited", "both")
    found = names(models=("spade", "carvemix"), mixers=("carvemix",), compose=compose, mixed_only=True)
    assert found == [
        "clinical only",
        "spade, clinical + synthetic, translated",
        "spade, clinical + synthetic, edited",
        "spade, clinical + synthetic, translated and edited",
        "carvemix, clinical + synthetic",
    ]
    assert names(models=("spade",), compose=("edited",))[1] == "spade, synthetic"


def test_a_generator_that_is_pretrained_on_the_library_is_named_beside_it(tmp_path):
    changes = {"models": ("spade",), "mask_library": tmp_path, "mixed_only": True}
    assert names(**changes, options={"mask-gan": {"pretraining": 0.5}})[1:] == [
        "spade, clinical + synthetic, public masks, mask-gan",
        "spade, clinical + synthetic, public masks",
    ]
    assert names(**changes)[1:] == ["spade, clinical + synthetic", "spade, clinical + synthetic, public masks"]


def test_arms_of_synthetic_images_alone_can_be_left_out():
    assert names(models=("spade",), mixed_only=True) == ["clinical only", "spade, clinical + synthetic"]


def test_public_priors_are_arms_of_their_own(tmp_path):
    found = names(
        models=("spade", "carvemix"), mixers=("carvemix",), generators=("mask-gan", "mask-warp"), anatomies=tmp_path
    )
    assert [name for name in found if "clinical +" in name] == [
        "spade, clinical + synthetic, mask-gan",
        "spade, clinical + synthetic, mask-warp",
        "spade, clinical + synthetic, public anatomies, mask-gan",
        "spade, clinical + synthetic, public anatomies, mask-warp",
        "carvemix, clinical + synthetic",
    ]
    both = names(models=("spade",), anatomies=tmp_path, mask_library=tmp_path)
    assert both[-1] == "spade, clinical + synthetic, public anatomies and masks"
    assert names(models=("spade",), mask_library=tmp_path)[-1] == "spade, clinical + synthetic, public masks"
    alone = names(models=("spade",), mask_library=tmp_path, generators=("mask-library",))
    assert alone == ["clinical only", "spade, synthetic, public masks", "spade, clinical + synthetic, public masks"]


def test_the_note_of_an_arm_does_not_depend_on_how_others_are_called():
    """A generator whose name ends like the segmenter's keeps its name."""
    settings = study_settings("smoke", models=("spade",), generators=("acme-unet", "mask-gan"), segmenters=("unet",))
    mixed = [arm for arm in list_arms(settings, frozenset()) if arm.training == "clinical + synthetic"]
    assert [arm.note(settings) for arm in mixed] == ["acme-unet", "mask-gan"]


def context_of(cohort, store, **changes):
    settings = study_settings("smoke", **{"models": ("pix2pix", "spade"), **changes})
    return make_context(settings, open_cohort(cohort), store)


def kinds(plan):
    return sorted(task.kind for task in plan.tasks.values() if task.kind != "quality")


def test_the_plan_shares_what_is_the_same(small_cohort, tmp_path):
    plan = make_plan(context_of(small_cohort, tmp_path, seeds=(0, 1), headroom=True, fresh_translators=False))
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
    fresh = make_plan(context_of(small_cohort, tmp_path, seeds=(0, 1)))
    assert kinds(fresh).count("translator") == 4
    shared = make_plan(context_of(small_cohort, tmp_path, seeds=(0, 1), fresh_translators=False))
    assert kinds(shared).count("translator") == 2
    loose = make_plan(context_of(small_cohort, tmp_path, all_for_synthesis=True))
    assert {task.cases for task in loose.tasks.values() if task.kind in ("generator", "translator")} == {6}
    assert {task.cases for task in loose.tasks.values() if task.kind == "segmenter"} == {3}


def test_translated_and_edited_images_come_from_the_same_networks(small_cohort, tmp_path):
    plan = make_plan(context_of(small_cohort, tmp_path, models=("spade",), compose=("translated", "edited")))
    assert kinds(plan) == ["database"] * 2 + ["generator"] + ["segmenter"] * 5 + ["translator"]
    databases = [task for task in plan.tasks.values() if task.kind == "database"]
    assert [(task.compose, task.note) for task in databases] == [("translated", "translated"), ("edited", "edited")]
    assert len({task.title for task in plan.tasks.values()}) == len(plan.tasks)
    alone = make_plan(context_of(small_cohort, tmp_path, models=("spade",), compose=("edited",)))
    assert databases[1].key in alone.tasks  # found again by a study of edited images alone
    usual = make_plan(context_of(small_cohort, tmp_path, models=("spade",)))
    assert databases[0].key in usual.tasks


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
    changes = {"models": ("carvemix",), "seeds": (0, 1), "all_for_synthesis": True, "fresh_translators": False}
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
        ({"cases": (7,)}, "give --cases 6 or less"),
        ({"options": {"pix2pix": {"ngf": -1}}}, "pix2pix: option ngf=-1"),
        ({"options": {"pix2pix": {"nfg": 8}}}, r"no option 'nfg' \(did you mean ngf"),
        ({"channels": ("dwi", "flair")}, "has no FLAIR image"),
        ({"precision": "fp16"}, "needs a CUDA GPU"),
    ],
)
def test_wrong_settings_show_before_any_work(small_cohort, tmp_path, changes, fault):
    with pytest.raises(InputError, match=fault):
        context_of(small_cohort, tmp_path / "store", **changes)
    assert not (tmp_path / "store").exists()


def test_keys_name_the_device_and_the_precision_that_auto_stands_for(small_cohort, tmp_path, monkeypatch):
    """A training in fp32 on a CPU is not taken for one in bf16 on a GPU."""
    plans = {}
    for device, precision in (("cpu", "fp32"), ("cpu", "bf16"), ("cuda:0", "fp32"), ("cuda:1", "fp32")):
        monkeypatch.setattr(context_module, "resolve", lambda *asked, found=(device, precision): found)
        context = context_of(small_cohort, tmp_path, models=("carvemix",), quality=False)
        assert (context.settings.device, context.settings.precision) == (device.partition(":")[0], precision)
        plans[device, precision] = {key for key, task in make_plan(context).tasks.items() if task.kind == "segmenter"}
    assert not plans["cpu", "fp32"] & (plans["cpu", "bf16"] | plans["cuda:0", "fp32"])
    assert plans["cuda:0", "fp32"] == plans["cuda:1", "fp32"]
