"""Silent tasks, and which steps a worker reports."""

from __future__ import annotations

import itertools

from strokereg.core.study import executor
from strokereg.core.study.executor import Message, Silence, attempt
from strokereg.core.study.plan import Task, TaskKind


def test_only_what_is_silent_beyond_the_limit_is_lost():
    silence = Silence(limit=3.0)
    assert list(silence.exceeded(100.0)) == []  # nobody is at work
    for key in ("speaks", "hangs"):
        silence.hear(key, Message("started"))
    for step in range(1, 4):
        assert list(silence.exceeded(1.0)) == []
        silence.hear("speaks", Message("step", step=step, total=9))
    assert list(silence.exceeded(0.5)) == ["hangs"]
    assert silence.reason("hangs").startswith("hung: no sign of life for 3 s; ")
    silence.forget("hangs")
    assert list(silence.exceeded(3.0)) == ["speaks"]
    assert silence.reason("speaks").startswith("hung after step 3 of 9: ")


def test_one_that_begins_again_begins_anew():
    silence = Silence(limit=3.0)
    silence.hear("again", Message("step", step=7, total=9))
    silence.forget("again")
    silence.hear("again", Message("started"))
    assert list(silence.exceeded(3.0)) == []
    assert "step 7" not in silence.reason("again")


def test_slow_steps_are_all_reported_and_quick_ones_are_not(monkeypatch):
    def heard(seconds):
        clock = itertools.count(0.0, seconds)
        monkeypatch.setattr(executor.time, "monotonic", lambda: next(clock))
        steps = []
        work = Task(TaskKind.SEGMENTER, "k", "unet", 1, 0, steps=1000)
        said = attempt(None, work, {}, perform, lambda message: steps.append(message.step))
        assert said == Message("done")
        return steps

    def perform(context, task, needs, report):
        for step in range(1, task.steps + 1):
            report(step, task.steps, {})

    assert heard(seconds=1.5) == list(range(1, 1001))
    assert heard(seconds=1e-6) == list(range(20, 1001, 20))
