"""Patience with silent tasks: it counts what was waited, and slow steps are signs of life."""

from __future__ import annotations

import itertools

from strokereg.core.study import worker
from strokereg.core.study.patience import Patience
from strokereg.core.study.plan import Task
from strokereg.core.study.worker import Message, attempt


def test_only_what_is_silent_beyond_the_limit_is_lost():
    patience = Patience(limit=3.0)
    assert list(patience.lost(100.0)) == []  # nobody is at work
    for key in ("speaks", "hangs"):
        patience.hear(key, Message("ready"))
    for step in range(1, 4):
        assert list(patience.lost(1.0)) == []
        patience.hear("speaks", Message("step", step=step, total=9))
    assert list(patience.lost(0.5)) == ["hangs"]
    assert patience.sentence("hangs").startswith("hung: no sign of life for 3 s; ")
    patience.forget("hangs")
    assert list(patience.lost(3.0)) == ["speaks"]
    assert patience.sentence("speaks").startswith("hung after step 3 of 9: ")


def test_one_that_begins_again_begins_anew():
    patience = Patience(limit=3.0)
    patience.hear("again", Message("step", step=7, total=9))
    patience.forget("again")
    patience.hear("again", Message("ready"))
    assert list(patience.lost(3.0)) == []
    assert "step 7" not in patience.sentence("again")


def test_slow_steps_are_all_spoken_of_and_quick_ones_are_not(monkeypatch):
    def heard(seconds):
        clock = itertools.count(0.0, seconds)
        monkeypatch.setattr(worker.time, "monotonic", lambda: next(clock))
        steps = []
        work = Task("segmenter", "k", "unet", 1, 0, steps=1000)
        said = attempt(None, work, {}, perform, lambda word: steps.append(word.step))
        assert said == Message("done")
        return steps

    def perform(context, task, needs, report):
        for step in range(1, task.steps + 1):
            report(step, task.steps, {})

    assert heard(seconds=1.5) == list(range(1, 1001))
    assert heard(seconds=1e-6) == list(range(20, 1001, 20))
