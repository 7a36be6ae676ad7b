"""`strokereg compare`: the study."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from strokereg.cli.values import Cases, Names, Pairs, Seeds


@click.command(epilog="Example: strokereg compare --models pix2pix,spade --data cohorts/soop60 --preset quick")
@click.option("--models", type=Names(), required=True, help="Translators and mixers: pix2pix,carvemix.")
@click.option("--data", type=click.Path(path_type=Path), help="Cohort folder.  [default: a simulated one, made once]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the study.  [default: strokereg-study]")
@click.option("--preset", default="quick", show_default=True, help="Budget: smoke, quick or full.")
@click.option("--cases", type=Cases(), help="Numbers of clinical training cases: 10,50,all.")
@click.option("--seeds", type=Seeds(), help="How many seeds, or the seeds themselves: 3 or 0,1,2.")
@click.option("--fold", type=int, help="Of a cross-validation, from 1; give each its own --out.  [default: split.tsv]")
@click.option("--external", type=click.Path(path_type=Path), help="Cohort of another origin to judge on as well.")
@click.option("--steps", type=Pairs(), multiple=True, help="Optimiser steps of a role: --steps segmenter=2000.")
@click.option("--set", "options", type=Pairs(), multiple=True, help="Option of a model: --set pix2pix.lr=1e-4.")
@click.option("--channels", type=Names(), help="Image contrasts: dwi or dwi,adc.")
@click.option("--spacing", type=float, help="Network grid in mm.  [default: the preset's]")
@click.option("--segmenter", help="Who is trained on the arms.  [default: unet]")
@click.option("--generator", help="Who makes the lesion masks.  [default: mask-gan]")
@click.option(
    "--all-for-synthesis", is_flag=True, help="Generator and translators see all training cases, as in the paper."
)
@click.option("--flips", is_flag=True, help="Judge on the mean with the mirror image, at twice the time.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core, one on a GPU]")
@click.option("--device", help="auto, cpu, cuda or mps.")
@click.option("--precision", help="auto, fp32, bf16 or fp16.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json on stdout instead of the table.")
def compare(
    models: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    preset: str,
    external: Path | None,
    fold: int | None,
    steps: tuple[tuple[str, str], ...],
    options: tuple[tuple[str, str], ...],
    spacing: float | None,
    all_for_synthesis: bool,
    flips: bool,
    workers: int | None,
    as_json: bool,
    **changes: object,
) -> None:
    """Train a segmenter with and without synthetic images, judge all on the same test cases, print the table.

    Interrupted and called again, it goes on where it stopped. Without --data it simulates a cohort: its numbers
    are not clinical ones.
    """
    from rich.console import Console

    from strokereg import api
    from strokereg.api.study import OUT, split_options
    from strokereg.cli.progress import StudyProgress
    from strokereg.core.table import print_table

    console = Console(stderr=True)
    with StudyProgress(console) as progress:
        finished = api.compare(
            models,
            data,
            out or OUT,
            preset,
            external,
            workers,
            progress,
            command=shlex.join(["strokereg", *sys.argv[1:]]),
            fold=fold,
            steps=dict(steps),
            options=split_options(dict(options), models[0]),
            spacing=None if spacing is None else (spacing,) * 3,
            all_for_synthesis=all_for_synthesis or None,
            flips=flips or None,
            **changes,
        )
    if as_json:
        click.echo(finished.json.read_text(encoding="utf-8"))
        return
    print_table(finished.results)
    click.echo(f"\nReport: {finished.report}")
