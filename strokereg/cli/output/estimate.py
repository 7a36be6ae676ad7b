"""Print the plan and the estimated time of a study, for `compare --dry-run`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from strokereg.core.study.estimate import Estimate


def print_estimate(estimate: Estimate, as_json: bool) -> None:
    """Print arms, work and expected time, as tables or as JSON."""
    if as_json:
        click.echo(json.dumps(asdict(estimate), indent=2))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    arms = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("arm", "cases", "trainings", "done"):
        arms.add_column(heading, justify="left" if heading == "arm" else "right")
    for arm in estimate.arms:
        arms.add_row(escape(arm.name), str(arm.cases), str(arm.trainings), str(arm.done))
    work = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("work", "tasks", "done", "steps or cases each", "time each"):
        work.add_column(heading, justify="left" if heading == "work" else "right")
    for part in estimate.work:
        numbers = (str(part.tasks), str(part.done), f"{part.steps:,}")
        work.add_row(f"{part.kind} {part.architecture}", *numbers, duration(part.seconds) if part.seconds else "–")
    console = Console(highlight=False)
    for table in (arms, work):
        console.print(table)
        console.print()
    if estimate.seconds is None:
        click.echo(
            f"No time estimate: nothing comparable has finished on this machine yet for {', '.join(estimate.unknown)}. "
            "Start the study and ask again while it runs; finished work is kept."
        )
        return
    processes = "1 process" if estimate.workers == 1 else f"{estimate.workers} processes"
    click.echo(f"About {duration(estimate.seconds)} on {processes}, by the time that finished tasks took.")


def duration(seconds: float) -> str:
    """`48 s`, `12 min` or `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
