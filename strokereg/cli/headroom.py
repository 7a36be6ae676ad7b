"""`strokereg headroom`: which step count is worth a study?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from strokereg.cli.values import Cases, Names, Numbers, Seeds


@click.command(epilog="Example: strokereg headroom --data cohorts/soop160 --cases 10 --steps 500,1000,2000,4000")
@click.option("--steps", type=Numbers(), required=True, help="Optimiser steps of the segmenter: 500,1000,2000.")
@click.option("--data", type=click.Path(path_type=Path), help="Cohort folder.  [default: a simulated one, made once]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the studies.  [default: strokereg-headroom]")
@click.option("--study", "file", type=click.Path(path_type=Path), help="Study file whose settings hold here too.")
@click.option("--preset", help="Budget: smoke, quick or full.  [default: quick]")
@click.option("--cases", type=Cases(), help="The few clinical cases: 10.")
@click.option("--seeds", type=Seeds(), help="How many seeds, or the seeds themselves: 3 or 0,1,2.")
@click.option("--segmenter", "segmenters", type=Names(), help="Who is trained.  [default: unet]")
@click.option("--spacing", type=float, help="Network grid in mm.  [default: the preset's]")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core, one on a GPU]")
def headroom(
    steps: tuple[int, ...],
    out: Path | None,
    file: Path | None,
    spacing: float | None,
    workers: int | None,
    **given: Any,
) -> None:
    """Measure at several step counts what all clinical cases give over few; synthesis can hardly give more than that.

    Worth a study is the smallest count whose interval lies above 0. Its trainings are found again by `compare`.
    """
    from rich.console import Console

    from strokereg.cli.progress import StudyProgress
    from strokereg.core.report.text import interval, signed
    from strokereg.core.study import compare
    from strokereg.core.study.file import merge
    from strokereg.core.study.headroom import OUT, measure_headroom

    kept = compare.read_study(file) if file else {}
    asked = merge(kept, given, {"spacing": None if spacing is None else (spacing,) * 3})
    for name in ("models", "external"):
        asked.pop(name, None)
    with StudyProgress(Console(stderr=True)) as progress:
        found = measure_headroom(steps, out=out or OUT, workers=workers, callbacks=progress, **asked)
    click.echo("steps\tDice few %\tDice all %\theadroom, Dice points\t95 % interval")
    for budget in found:
        room = budget.headroom.contrast
        scores = f"{budget.few * 100:.1f}\t{budget.everything * 100:.1f}"
        click.echo(f"{budget.steps}\t{scores}\t{signed(room.difference)}\t{interval(room)}")
    worth = next((budget.steps for budget in found if budget.headroom.contrast.above_zero), None)
    told = f"From {worth} steps on there is headroom." if worth else "None of these step counts shows a headroom."
    click.echo(told, err=True)
