from __future__ import annotations

from strokereg.core.study.tracked import TrackedCallbacks

from strokereg.core.study.executor import NoCallbacks
from strokereg.core.study.plan import Task
from strokereg.core.train.tracking import Tracker, Tracking


class Notes:
    """Writes down what it is told; fails in `fails`."""

    def __init__(self, fails: str = "") -> None:
        self.told: list[tuple] = []
        self.fails = fails

    def _note(self, what: str, *words: object) -> None:
        if what == self.fails:
            raise ConnectionError("the server is gone\nfor good")
        self.told.append((what, *words))

    def begin(self, run, facts) -> None:
        self._note("begin", run, dict(facts))

    def step(self, run, step, losses) -> None:
        self._note("step", run, step, dict(losses))

    def end(self, run, failure) -> None:
        self._note("end", run, failure)

    def close(self) -> None:
        self._note("close")


def test_it_is_told_once_of_each_run() -> None:
    notes, warned = Notes(), list[str]()
    assert isinstance(notes, Tracker)
    tracking = Tracking({"notes": notes}, warned.append)
    for step in (1, 2):
        tracking.begin("a", {"seed": 0})
        tracking.step("a", step, {"p/l1": 0.5})
    tracking.begin("b", {})
    tracking.end("a")
    tracking.end("never begun")
    tracking.close()
    assert notes.told == [
        ("begin", "a", {"seed": 0}),
        ("step", "a", 1, {"p/l1": 0.5}),
        ("step", "a", 2, {"p/l1": 0.5}),
        ("begin", "b", {}),
        ("end", "a", None),
        ("end", "b", "interrupted"),
        ("close",),
    ]
    assert warned == []


def test_one_that_raises_is_reported_once_and_dropped() -> None:
    good, bad, warned = Notes(), Notes("step"), list[str]()
    tracking = Tracking({"bad": bad, "good": good}, warned.append)
    tracking.begin("a", {})
    for step in (1, 2, 3):
        tracking.step("a", step, {"l1": 1.0})
    tracking.end("a")
    tracking.close()
    assert warned == [
        "tracker bad: failed in step (ConnectionError: the server is gone); it is dropped, the training goes on"
    ]
    assert bad.told == [("begin", "a", {})]
    assert [word for word, *_ in good.told] == ["begin", "step", "step", "step", "end", "close"]


def test_a_study_s_tasks_are_told_under_their_folders() -> None:
    heard: list[str] = []

    class Words(NoCallbacks):
        def __getattr__(self, name):
            return lambda *said: heard.append(name)

    notes, words = Notes(), Words()
    callbacks = TrackedCallbacks(words, Tracking({"notes": notes}, print))
    unet = Task("segmenter", "ab" * 20, "unet", 10, 3, steps=50)
    database = Task("database", "cd" * 20, "spade", 10, 3, steps=2)
    callbacks.preparing("cases", 1, 2)
    callbacks.found(unet)
    callbacks.step(database, 1, 2, {})
    callbacks.ended(database, None)
    callbacks.step(unet, 50, 50, {"unet/dice": 0.4})
    callbacks.ended(unet, "became NaN")
    facts = {"title": unet.title, "role": "segmenter", "architecture": "unet", "cases": 10, "seed": 3, "steps": 50}
    assert notes.told == [
        ("begin", unet.folder, facts),
        ("step", unet.folder, 50, {"unet/dice": 0.4}),
        ("end", unet.folder, "became NaN"),
    ]
    assert heard == ["preparing", "found", "step", "ended", "step", "ended"]
