"""`strokereg headroom`: find a step count at which more data help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from strokereg.cli.values import Cases, Names, Numbers, Seeds, goes_on


@click.command(epilog="Example: strokereg headroom --data cohorts/soop160 --cases 10 --steps 500,1000,2000,4000")
@click.option("--steps", type=Numbers(), required=True, help="Optimiser steps of the segmenter: 500,1000,2000.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Cohort folder, or simulated.  [default: embedded FLAIR slices of 300 patients]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the studies.  [default: strokereg-headroom]")
@click.option("--study", "file", type=click.Path(path_type=Path), help="Study file with the other settings.")
@click.option("--preset", help="Budget: smoke, quick or full.  [default: quick]")
@click.option("--cases", type=Cases(), help="Number of clinical cases to compare with all: 10.")
@click.option("--seeds", type=Seeds(), help="Number of seeds, or the seeds themselves: 3 or 0,1,2.")
@click.option("--segmenter", "segmenters", type=Names(), help="Segmenter to train.  [default: unet]")
@click.option("--spacing", type=float, help="Voxel size of the network grid in mm.  [default: the preset's]")
@click.option("--workers", type=click.IntRange(1), help="Worker processes.  [default: one per core, one on a GPU]")
@goes_on
def headroom(
    steps: tuple[int, ...],
    out: Path | None,
    file: Path | None,
    spacing: float | None,
    workers: int | None,
    **given: Any,
) -> None:
    """Measure how much all clinical cases gain over a few, at several step counts.

    Synthetic images can hardly gain more than that. Choose the smallest step count whose interval lies above 0;
    `compare` reuses its trainings.
    """
    from rich.console import Console

    from strokereg.cli.output.progress import StudyProgress
    from strokereg.core.report.text import interval, signed
    from strokereg.core.study.compare import RunOptions
    from strokereg.core.study.file import read_study
    from strokereg.core.study.headroom import OUT, measure_headroom
    from strokereg.core.study.settings import merge

    kept = read_study(file) if file else {}
    asked = merge(kept, given, {"spacing": None if spacing is None else (spacing,) * 3})
    for name in ("models", "external"):
        asked.pop(name, None)
    with StudyProgress(Console(stderr=True)) as progress:
        found = measure_headroom(steps, out=out or OUT, run=RunOptions(workers=workers, callbacks=progress), **asked)
    click.echo("steps\tDice few %\tDice all %\theadroom, Dice points\t95 % interval")
    for budget in found:
        room = budget.headroom.contrast
        scores = f"{budget.few * 100:.1f}\t{budget.everything * 100:.1f}"
        click.echo(f"{budget.steps}\t{scores}\t{signed(room.difference)}\t{interval(room)}")
    worth = next((budget.steps for budget in found if budget.headroom.contrast.above_zero), None)
    found_at = f"There is headroom from {worth} steps on." if worth else "None of these step counts shows headroom."
    click.echo(found_at, err=True)
