"""Progress of a study or a training: bars on a terminal, lines in a log file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

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


class StudyProgress:
    """A bar for the study and one for each running task, with its losses; plain lines in a log file.

    Use as a context manager; fits `core.study.executor.StudyCallbacks`.
    """

    def __init__(self, console: Console):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self.console = console
        self.progress = Progress(
            TextColumn("{task.description}", table_column=None),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[losses]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.total = self.progress.add_task("study", total=None, losses="")
        self.bars: dict[str, object] = {}
        self.latest: dict[str, dict[str, float]] = {}
        self.count = self.done = 0

    def __enter__(self) -> StudyProgress:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show that the data are being prepared."""
        self.progress.update(self.total, description=what, completed=done, total=total)

    def planned(self, plan: Plan) -> None:
        """Show the number of tasks."""
        self.count = len(plan.tasks)
        self.progress.update(self.total, description="study", completed=0, total=self.count)

    def found(self, task: Task) -> None:
        """Count a task that an earlier call finished."""
        self.done += 1
        self.progress.advance(self.total)

    def step(self, task: Task, step: int, total: int, losses: dict[str, float]) -> None:
        """Show a step of a task."""
        latest = self.latest.setdefault(task.key, {})  # keeps the validation Dice between evaluations
        latest.update(losses)
        shown = "  ".join(f"{name.split('/')[-1]} {value:.3g}" for name, value in latest.items())
        if task.key not in self.bars:
            self.bars[task.key] = self.progress.add_task(task.title, total=total, losses="")
        self.progress.update(self.bars[task.key], completed=step, losses=shown)  # type: ignore[arg-type]

    def ended(self, task: Task, failure: str | None) -> None:
        """Show that a task finished or failed."""
        self.done += 1
        self.progress.advance(self.total)
        if task.key in self.bars:
            self.progress.remove_task(self.bars.pop(task.key))  # type: ignore[arg-type]
        self.console.print(f"[{self.done}/{self.count}] {task.title}" + (f": failed: {failure}" if failure else ""))
