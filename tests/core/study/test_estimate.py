"""The dry run: what would be done, what is done, and of which order the time is."""

from __future__ import annotations

import json

import pytest

from strokereg.cli.main import main
from strokereg.core.study.estimate import span
from strokereg.core.study.plan import Task


def task(name, *needs):
    return Task(kind="segmenter", key=name, architecture=name, cases=1, seed=0, needs=needs)


@pytest.mark.parametrize(("workers", "expected"), [(1, 10.0), (2, 6.0), (8, 6.0)])
def test_the_span_of_tasks_that_need_each_other(workers, expected):
    tasks = [task("a"), task("b"), task("heir", "a"), task("met", "done before")]
    assert span(tasks, {"a": 1.0, "b": 3.0, "heir": 5.0, "met": 1.0}, workers) == expected
    assert span([], {}, workers) == 0.0


@pytest.mark.slow
def test_nothing_is_written_and_the_order_is_right(small_cohort, tmp_path, monkeypatch, capsys, small_study):
    monkeypatch.setenv("STROKEREG_CACHE", str(tmp_path / "cache"))
    words = ["compare", "--preset", "smoke", "--models", "random-contrast,carvemix", "--data", str(small_cohort)]
    words += ["--steps", "segmenter=4", "--steps", "generator=2", "--workers", "1", "--dry-run", "--json"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert not (tmp_path / "out").exists()
    assert [arm["done"] for arm in said["arms"]] == [0] * 5
    work = {(part["kind"], part["architecture"]): part for part in said["work"]}
    unet = work["segmenter", "unet"]
    assert (unet["tasks"], unet["done"], unet["steps"]) == (5, 0, 4)
    assert all(part["seconds"] > 0 for part in said["work"] if part["kind"] != "translator")
    taken = small_study.results.timing.values()
    assert sum(taken) / 20 < said["seconds"] < 20 * sum(taken) + 60  # another machine load then than now

    assert main([*words, "--out", str(small_study.json.parent)]) == 0
    rest = json.loads(capsys.readouterr().out)
    assert [arm["done"] for arm in rest["arms"]] == [1] * 5
    assert rest["seconds"] == 0.0
