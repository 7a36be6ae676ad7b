"""Losses reach `history.csv` and the trackers, and a tracker that fails does no harm."""

from __future__ import annotations

from strokereg.core.study.executor import NoCallbacks, TrackedCallbacks
from strokereg.core.study.plan import Task
from strokereg.core.train.tracking import History, Tracker, Tracking, series


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


def written(path, steps):
    history = History(path)
    for step in steps:
        history.add(step, {"translator/l1": 1.0 / step, "critic/gan": float(step)})
    history.flush()
    return history


def test_losses_come_back_by_name_in_order(tmp_path):
    written(tmp_path / "h.csv", range(1, 4))
    curves = series(tmp_path / "h.csv")
    assert curves == {
        "translator/l1": [(1, 1.0), (2, 0.5), (3, 0.333333)],
        "critic/gan": [(1, 1.0), (2, 2.0), (3, 3.0)],
    }
    assert (tmp_path / "h.csv").read_text().splitlines()[0] == "step,loss,value"


def test_nothing_is_written_before_flush_and_nothing_twice(tmp_path):
    history = History(tmp_path / "h.csv")
    history.add(1, {"a/b": 1.0})
    assert not (tmp_path / "h.csv").exists()
    history.flush()
    history.flush()
    assert series(tmp_path / "h.csv") == {"a/b": [(1, 1.0)]}


def test_cutting_takes_away_what_came_after(tmp_path):
    written(tmp_path / "h.csv", range(1, 6))
    History(tmp_path / "h.csv").cut(2)
    assert [step for step, _ in series(tmp_path / "h.csv")["critic/gan"]] == [1, 2]
    History(tmp_path / "h.csv").cut(0)
    assert series(tmp_path / "h.csv") == {}


def test_going_on_gives_the_bytes_of_an_uninterrupted_run(tmp_path):
    written(tmp_path / "whole.csv", range(1, 7))
    written(tmp_path / "cut.csv", range(1, 5))
    History(tmp_path / "cut.csv").cut(3)
    written(tmp_path / "cut.csv", range(4, 7))
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_last_row_cut_short_is_left_out(tmp_path):
    written(tmp_path / "h.csv", range(1, 3))
    whole = (tmp_path / "h.csv").read_text()
    (tmp_path / "h.csv").write_text(whole + "3,translator/l1")
    assert len(series(tmp_path / "h.csv")["translator/l1"]) == 2


def test_no_file_has_no_losses(tmp_path):
    assert series(tmp_path / "h.csv") == {}
