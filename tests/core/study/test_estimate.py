"""What a study would do, and the time that finished tasks say it takes."""

from __future__ import annotations

import pytest

from strokereg.core.study.estimate import TimeLeft, estimate_study, span
from strokereg.core.study.plan import Task, TaskKind, make_plan, record_of
from strokereg.core.study.tasks import outcome, perform


def task(name, *needs):
    return Task(kind=TaskKind.SEGMENTER, key=name, architecture=name, cases=1, seed=0, needs=needs)


@pytest.mark.parametrize(("workers", "expected"), [(1, 10.0), (2, 6.0), (8, 6.0)])
def test_the_span_of_tasks_that_need_each_other(workers, expected):
    tasks = [task("a"), task("b"), task("heir", "a"), task("met", "done before")]
    assert span(tasks, {"a": 1.0, "b": 3.0, "heir": 5.0, "met": 1.0}, workers) == expected
    assert span([], {}, workers) == 0.0


def test_without_finished_tasks_there_is_no_estimate(small_cohort, tmp_path, small_context):
    found = estimate_study(small_context(small_cohort, tmp_path / "store"), workers=1)
    assert not (tmp_path / "store").exists()
    assert [(arm.trainings, arm.done) for arm in found.arms] == [(1, 0)] * 5
    assert found.seconds is None
    assert "segmenter unet" in found.unknown
    assert all(part.seconds is None for part in found.work)


def test_finished_tasks_of_another_study_give_the_time(small_cohort, tmp_path, small_context, small_study):
    """Each task that is left takes as long per step as its like did; the seconds are those that were noted."""
    store = small_study.json.parent / "runs"
    twice = {"steps": {"segmenter": 8, "generator": 2}, "models": ("carvemix",), "quality": False}
    found = estimate_study(small_context(small_cohort, tmp_path / "store", **twice), 1, [store])
    [unet] = [part for part in found.work if part.kind is TaskKind.SEGMENTER]
    taken = [seconds for title, seconds in small_study.results.timing.items() if title.startswith("segmenter unet")]
    assert 2 * min(taken) <= unet.seconds <= 2 * max(taken)
    assert found.seconds == pytest.approx(3 * unet.seconds)  # the database is there
    assert found.unknown == ()


def test_times_of_the_cpu_say_nothing_of_a_gpu(small_cohort, tmp_path, small_context, small_study, monkeypatch):
    """Both are "auto" in the settings; a study that is moved to a GPU machine has no estimate before its first task."""
    store = small_study.json.parent / "runs"
    twice = {"steps": {"segmenter": 8, "generator": 2}, "models": ("carvemix",), "quality": False}
    context = small_context(small_cohort, tmp_path / "store", **twice)
    assert estimate_study(context, 1, [store]).seconds is not None
    monkeypatch.setattr("strokereg.core.study.context.resolve", lambda device, precision: ("cuda", "fp32"))
    moved = small_context(small_cohort, tmp_path / "store", **twice)
    assert estimate_study(moved, 1, [store]).seconds is None


def test_what_is_done_takes_no_time(small_cohort, small_context, small_study):
    found = estimate_study(small_context(small_cohort, small_study.json.parent / "runs"), workers=1)
    assert [arm.done for arm in found.arms] == [1] * 5
    assert found.seconds == 0.0


@pytest.mark.parametrize("continued", [False, True])
def test_only_an_uninterrupted_task_gives_a_time(small_cohort, tmp_path, small_context, continued):
    """The seconds of a continued one are those of its last part, which would make the estimate too short."""
    context = small_context(small_cohort, tmp_path / "store", models=("carvemix",), quality=False)
    task = next(task for task in make_plan(context).tasks.values() if task.kind is TaskKind.SEGMENTER)
    if continued:
        (context.store / task.folder).mkdir(parents=True)
        record_of(context, task).write(context.store / task.folder)
        (context.store / task.folder / "history.csv").touch()
    perform(context, task, {}, lambda *_: None)
    assert (outcome(context, task)["cost"] is None) == continued


def test_the_time_left_follows_from_the_steps_of_this_study():
    """Two trainings of 100 steps and what comes after one of them, on a clock that the test moves."""
    first, second = (Task(TaskKind.SEGMENTER, key, "unet", cases=1, seed=0, steps=100) for key in ("a", "b"))
    after = Task(TaskKind.QUALITY, "c", "flow", cases=1, seed=0, needs=("a",))
    left = TimeLeft([first, second, after], {})
    assert left.seconds(0.0) == (0.0, False)
    left.step(first, 1, 1.0)
    left.step(first, 11, 21.0)  # 2 s a step: 178 s and 200 s left, one after the other
    assert left.seconds(21.0) == (378.0, False)
    assert left.seconds(31.0) == (368.0, False)
    left.step(second, 1, 31.0)
    left.step(second, 21, 71.0)  # two processes; as long as the longer one
    assert left.seconds(71.0) == (158.0, False)
    left.end(first, 199.0)
    left.step(after, 0, 199.0)
    left.end(after, 205.0)
    left.end(second, 240.0)
    assert left.seconds(240.0) == (0.0, True)


def test_what_others_took_counts_until_a_step_is_done_here():
    one = Task(TaskKind.SEGMENTER, "a", "unet", cases=1, seed=0, steps=100)
    left = TimeLeft([one], {"a": 50.0})
    assert left.seconds(0.0) == (50.0, True)
    left.step(one, 40, 0.0)  # resumed
    assert left.seconds(0.0) == (30.0, True)
    left.step(one, 50, 10.0)
    assert left.seconds(10.0) == (50.0, True)
