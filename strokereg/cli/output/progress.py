"""Progress of a study or a training: bars on a terminal, lines in a log file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from strokereg.cli.output.estimate import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

    from strokereg.core.study.estimate import TimeLeft
    from strokereg.core.study.plan import Plan, Task


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar if the output is a terminal; yields a function to call with (finished, all)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def bars_with_losses(console: Console, clock: type[ProgressColumn]) -> Progress:
    """Bars of trainings, shown on a terminal only. Each task has the field `losses`.

    Args:
        clock: the column of the time, elapsed or remaining.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Column

    # Only the first and the last column may be narrower than their texts, which then take a second line.
    return Progress(
        TextColumn("{task.description}", table_column=Column(ratio=3)),
        BarColumn(bar_width=12, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        clock(table_column=Column(no_wrap=True)),
        TextColumn("[dim]{task.fields[losses]}", table_column=Column(ratio=2)),
        console=console,
        transient=True,
        expand=True,
        disable=not console.is_terminal,
    )


class StudyProgress:
    """A bar for the study and one for each running task, with its losses; plain lines in a log file.

    Use as a context manager; fits `core.study.executor.StudyCallbacks`.
    """

    def __init__(self, console: Console):
        from rich.progress import TimeElapsedColumn

        self.console = console
        self.progress = bars_with_losses(console, TimeElapsedColumn)
        self.total = self.progress.add_task("study", total=None, losses="")
        self.bars: dict[str, object] = {}
        self.latest: dict[str, dict[str, float]] = {}
        self.count = self.done = 0
        self.left: TimeLeft | None = None

    def __enter__(self) -> StudyProgress:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show that the data are being prepared."""
        self.progress.update(self.total, description=what, completed=done, total=total)

    def planned(self, plan: Plan, expected: Mapping[str, float]) -> None:
        """Show the number of tasks."""
        from strokereg.core.study.estimate import TimeLeft

        self.count = len(plan.tasks)
        self.left = TimeLeft(plan.tasks.values(), expected)
        self.progress.update(self.total, description="study", completed=0, total=self.count)

    def found(self, task: Task) -> None:
        """Count a task that an earlier call finished."""
        self._finish(task)

    def step(self, task: Task, step: int, total: int, losses: dict[str, float]) -> None:
        """Show a step of a task."""
        if self.left is not None:
            self.left.step(task, step, time.monotonic())
        latest = self.latest.setdefault(task.key, {})  # keeps the validation Dice between evaluations
        latest.update(losses)
        shown = "  ".join(f"{name.split('/')[-1]} {value:.3g}" for name, value in latest.items())
        if task.key not in self.bars:
            self.bars[task.key] = self.progress.add_task(task.title, total=total, losses="")
        self.progress.update(self.bars[task.key], completed=step, losses=shown)  # type: ignore[arg-type]
        self.progress.update(self.total, losses=self._time_left())

    def ended(self, task: Task, failure: str | None) -> None:
        """Show that a task finished or failed."""
        self._finish(task)
        if task.key in self.bars:
            self.progress.remove_task(self.bars.pop(task.key))  # type: ignore[arg-type]
        left = self._time_left()
        self.console.print(
            f"[{self.done}/{self.count}] {task.title}"
            + (f": failed: {failure}" if failure else "")
            + (f"; {left}" if left and self.done < self.count else ""),
            markup=False,
        )

    def _finish(self, task: Task) -> None:
        self.done += 1
        if self.left is not None:
            self.left.end(task, time.monotonic())
        self.progress.advance(self.total)
        self.progress.update(self.total, losses=self._time_left())

    def _time_left(self) -> str:
        """`about 12 min left`, or `at least …` while the time of some tasks is unknown; empty if nothing is known."""
        seconds, complete = self.left.seconds(time.monotonic()) if self.left else (0.0, False)
        if not complete and seconds < 1:
            return ""
        return f"{'about' if complete else 'at least'} {duration(seconds)} left"
