"""What all tasks share: the cohorts are checked and described before any work."""

from __future__ import annotations

import shutil

import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.split import Split
from strokereg.core.simulate import Simulation, simulate_cohort
from strokereg.core.study.context import make_context
from strokereg.core.study.plan import TaskKind, make_plan, record_of
from strokereg.core.study.settings import complete_settings
from strokereg.core.train.record import Record
from strokereg.registry.errors import InputError


@pytest.fixture
def context_with(small_cohort, tmp_path):
    """A function (external cohort) → context of a study of mixers."""
    settings = complete_settings(("carvemix",), small_cohort, "smoke")

    def make(external):
        return make_context(settings, open_cohort(small_cohort), tmp_path / "store", open_cohort(external))

    return make


def test_an_external_cohort_is_simulated_or_real_as_its_own_description_says(context_with, phantom, tmp_path):
    simulated = simulate_cohort(tmp_path / "other", Simulation(5, shape=(48, 48, 32), spacing=4.7, seed=9), workers=1)
    found = context_with(simulated).external_facts
    assert (found.name, found.cases, found.simulated) == ("other", 5, True)
    found = context_with(phantom).external_facts
    assert (found.cases, found.simulated) == (3, False)


def test_a_case_of_the_cohort_cannot_be_external(context_with, small_cohort):
    with pytest.raises(InputError, match=r"has the same image as .* of the training cases"):
        context_with(small_cohort)


@pytest.fixture
def unlabelled(flair_cohort, tmp_path):
    """Real slices with lesion masks and nothing else."""
    root = shutil.copytree(flair_cohort, tmp_path / "unlabelled")
    for path in root.glob("derivatives/*/dseg.tsv"):
        path.unlink()
    for path in root.rglob("*_dseg.nii.gz"):
        path.unlink()
    return root


def test_a_study_of_mixers_needs_no_label_maps(unlabelled, tmp_path, run_small):
    finished, here = run_small(unlabelled, tmp_path / "out", models=("carvemix",), mixed_only=True)
    assert [arm.training for arm in finished.results.arms if arm.seeds] == ["clinical", "clinical + synthetic"]
    assert finished.results.failures == []
    assert finished.results.quality[0].memorisation.pixels.held_out > 0
    assert {task.kind for task in here.done} == {TaskKind.SEGMENTER, TaskKind.DATABASE, TaskKind.QUALITY}


@pytest.mark.parametrize(("models", "named"), [(("lesion-paste",), "lesion-paste"), (("carvemix", "flow"), "flow")])
def test_what_needs_label_maps_says_so(unlabelled, tmp_path, models, named):
    settings = complete_settings(models, unlabelled, "smoke")
    with pytest.raises(InputError, match=rf"sub-1 has no tissue label map, needed by {named}; make label maps with:"):
        make_context(settings, open_cohort(unlabelled), tmp_path / "store")


def test_a_study_can_use_fewer_validation_cases(small_cohort, tmp_path):
    root = shutil.copytree(small_cohort, tmp_path / "cohort")
    split = open_cohort(root).split
    Split(split.train[2:], (*split.val, *split.train[:2]), split.test).write(root / "split.tsv")

    def context(count):
        settings = complete_settings((), root, "smoke", validation_cases=count)
        return make_context(settings, open_cohort(root), tmp_path / "store")

    every, two = context(0), context(2)
    assert len(every.dataset.validation) == 3
    assert two.dataset.validation_files == every.dataset.validation_files[:2]
    assert [case.name for case in two.dataset.validation] == [files.name for files in two.dataset.validation_files]
    keys = [[task.key for task in make_plan(made).tasks.values()] for made in (every, two)]
    assert not set(keys[0]) & set(keys[1])  # they choose the weights
    with pytest.raises(InputError, match="--validation-cases 4: there are 3; ask for that many at most"):
        context(4)


def test_a_negative_number_of_validation_cases_is_refused(small_cohort):
    with pytest.raises(InputError, match="validation_cases=-1"):
        complete_settings((), small_cohort, "smoke", validation_cases=-1)


def test_all_segmenters_of_a_study_start_from_a_run(small_cohort, unet_run, tmp_path):
    def context(**changes):
        options = {"unet": {"widths": Record.read(unet_run).options["widths"]}}
        changes = {"options": options} | changes
        settings = complete_settings(("carvemix",), small_cohort, "smoke", **changes)
        return make_context(settings, open_cohort(small_cohort), tmp_path / "store")

    def segmenters(made):
        return [task for task in make_plan(made).tasks.values() if task.kind is TaskKind.SEGMENTER]

    usual, begun = context(), context(start=unet_run)
    assert {record_of(begun, task).start.run for task in segmenters(begun)} == {unet_run.name}
    assert not {task.key for task in segmenters(usual)} & {task.key for task in segmenters(begun)}
    with pytest.raises(InputError, match="trains one segmenter"):
        context(start=unet_run, segmenters=("unet", "dynunet"))
    with pytest.raises(InputError, match="is a run of unet, not of dynunet"):
        context(start=unet_run, segmenters=("dynunet",), options={})
