"""Losses on disk: appended, cut back to a checkpoint, read whatever a crash left."""

from __future__ import annotations

from strokereg.core.train.history import History, series


def written(path, steps):
    history = History(path)
    for step in steps:
        history.add(step, {"painter/l1": 1.0 / step, "critic/gan": float(step)})
    history.flush()
    return history


def test_losses_come_back_by_name_in_order(tmp_path):
    written(tmp_path / "h.csv", range(1, 4))
    curves = series(tmp_path / "h.csv")
    assert curves == {
        "painter/l1": [(1, 1.0), (2, 0.5), (3, 0.333333)],
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
    (tmp_path / "h.csv").write_text(whole + "3,painter/l1")
    assert len(series(tmp_path / "h.csv")["painter/l1"]) == 2


def test_no_file_has_no_losses(tmp_path):
    assert series(tmp_path / "h.csv") == {}
