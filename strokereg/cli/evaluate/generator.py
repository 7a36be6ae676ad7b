"""`strokereg evaluate generator`: compare generated lesion masks with real ones."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from strokereg.cli.values import Names, Pairs, convention_option, goes_on
from strokereg.core.scan.view import Convention

if TYPE_CHECKING:
    from rich.table import Table

    from strokereg.core.evaluate.generators import GeneratorEvaluation


@click.command(
    epilog="Example: strokereg evaluate generator --masks lesions_mni --models mask-gan,mask-warp --steps 1000"
)
@click.option("--masks", "folder", type=click.Path(path_type=Path), required=True, help="Folder of masks in MNI space.")
@click.option("--models", type=Names(), help="Generators, comma separated.  [default: mask-gan,mask-warp]")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder.  [default: strokereg-masks]")
@click.option("--steps", type=int, help="Optimiser steps of each trained generator.  [default: 1000]")
@click.option("--batch-size", type=int, help="Masks per step.  [default: 8, in 2D 16]")
@click.option(
    "--dims",
    type=click.IntRange(2, 3),
    default=3,
    show_default=True,
    help="2: largest slice of each mask. 3: the full mask.",
)
@click.option("--spacing", type=float, default=4.0, show_default=True, help="Voxel size in mm.")
@click.option("--set", "options", type=Pairs(), multiple=True, help="Option of a generator: --set mask-gan.ngf=16.")
@click.option("--seed", type=int, help="Seed of the split and of all other random numbers.  [default: 0]")
@click.option("--device", help="auto, cpu, cuda or mps.")
@click.option("--threads", type=int, help="Torch threads on a CPU.  [default: 1]")
@convention_option
@click.option("--json", "as_json", is_flag=True, help="Print evaluation.json on stdout instead of the table.")
@goes_on
def generator(
    folder: Path,
    models: tuple[str, ...] | None,
    out: Path | None,
    dims: int,
    spacing: float,
    options: tuple[tuple[str, str], ...],
    convention: Convention,
    as_json: bool,
    **settings: object,
) -> None:
    """Train generators on 80 % of a folder of real lesion masks and compare their masks with held-out ones.

    The table gives distances in volume, number of components, surface to volume, sphericity and location. A high
    overlap with the most similar training mask is a sign of copying. The first row compares real masks with other
    real masks: it is the best result to expect. Run the command again to reuse finished trainings.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from strokereg.core.evaluate.generators import MODELS, OUT, evaluate_generators
    from strokereg.core.study.settings import split_options

    console, place, names = Console(stderr=True), out or OUT, models or MODELS
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("reading masks", total=None)
        evaluated = evaluate_generators(
            folder,
            names,
            place,
            settings={key: value for key, value in settings.items() if value is not None},
            options=split_options(dict(options), names[0]),
            spacing=spacing,
            dims=dims,
            convention=convention,
            command=shlex.join(["strokereg", *sys.argv[1:]]),
            on_progress=lambda what, done, total: progress.update(bar, description=what, completed=done, total=total),
        )
    if as_json:
        click.echo(json.dumps(evaluated.model_dump(mode="json")))
        return
    shown = Console(highlight=False)
    if not shown.is_terminal:
        shown.width = max(shown.width, 120)
    shown.print(_table(evaluated))
    click.echo(
        f"Compared with {evaluated.held_out} real masks; trained on {evaluated.training}. Distances in standard "
        "deviations of the real masks (location: total variation); 0 is equal."
    )
    click.echo(f"\nPictures: {place / 'sheet.png'}")


def _table(evaluated: GeneratorEvaluation) -> Table:
    from rich.table import Table

    from strokereg.core.evaluate.generators import rows_of

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("masks")
    size = "volume ml" if evaluated.dims == 3 else "area mm²"
    for heading in (
        "empty\n%",
        f"{size}\nmedian (5–95 %)",
        f"{size.split()[0]}\ndistance",
        "compo-\nnents",
        "surface\n/volume",
        "spher-\nicity",
        "loca-\ntion",
        "nearest training\nDice (95 %)",
        "min",
    ):
        table.add_column(heading, justify="right")
    for row in rows_of(evaluated):
        table.add_row(*row)
    return table
