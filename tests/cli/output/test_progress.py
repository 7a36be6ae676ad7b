"""The bars of a study."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from strokereg.cli.output import progress
from strokereg.cli.output.progress import StudyProgress
from strokereg.core.study.plan import Plan, Task, TaskKind


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def plan():
    plan = Plan()
    for seed in (0, 1):
        plan.add(
            Task(
                TaskKind.SEGMENTER, f"{seed}", "timm-unet", cases=10, seed=seed, steps=12_000,
                translator="random-contrast", note="public anatomies and masks",
            )
        )  # fmt: skip
    return plan


def shown(bars: StudyProgress, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(bars.progress.get_renderable())
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 140])
def test_nothing_is_cut_and_the_time_left_is_shown(plan, clock, width):
    first = plan.tasks["0"]
    bars = StudyProgress(Console(file=io.StringIO(), force_terminal=True, width=width))
    bars.planned(plan, {})
    for step, now in ((1, 0.0), (6001, 600.0)):
        clock[0] = now
        bars.step(first, step, 12_000, {"segmenter/cross_entropy": 0.0123, "segmenter/dice_loss": 0.456})
    lines = shown(bars, width)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    assert "…" not in text
    assert "6001/12000" in text
    assert "0/2" in text
    for word in ("timm-unet", "random-contrast", "masks,", "seed", "cross_entropy", "0.0123", "0.456"):
        assert word in text
    assert bars.progress.tasks[0].fields["losses"] == "about 30 min left"  # 5,999 and 12,000 steps


def test_a_log_file_has_a_line_for_each_task_with_the_time_left(plan, clock):
    first, second = plan.tasks.values()
    file = io.StringIO()
    bars = StudyProgress(Console(file=file, width=400))
    bars.planned(plan, {"0": 100.0, "1": 100.0})
    bars.step(first, 1, 12_000, {})
    clock[0] = 120.0
    bars.ended(first, None)
    bars.ended(second, "its loss became [nan]")
    lines = file.getvalue().splitlines()
    assert lines[0] == f"[1/2] {first.title}; about 2 min left"
    assert lines[1] == f"[2/2] {second.title}: failed: its loss became [nan]"
