"""`strokereg synthesize`: a synthetic cohort as a product of its own."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="Example: strokereg synthesize --translator runs/spade --generator runs/mask-gan --cohort cohorts/soop60 "
    "--n 1000 --out cohorts/synthetic"
)
@click.option("--translator", type=click.Path(path_type=Path), required=True, help="Run folder: labels to image.")
@click.option("--generator", type=click.Path(path_type=Path), required=True, help="Run folder: lesion masks.")
@click.option("--cohort", type=click.Path(path_type=Path), required=True, help="Its training cases give the anatomies.")
@click.option("--n", "count", type=click.IntRange(1), default=1000, show_default=True, help="How many cases.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make.  [default: strokereg-synthetic]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn.")
@click.option(
    "--lesion-share", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Of slices with a lesion."
)
@click.option("--anatomies", type=click.Path(path_type=Path), help="Folder of FreeSurfer-coded label maps instead.")
@click.option("--device", default="auto", help="auto, cpu, cuda or mps.")
def synthesize(out: Path | None, **asked: object) -> None:
    """Write synthetic cases as a BIDS cohort with provenance; called again, it makes those that are missing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from strokereg.api.synthesis import OUT
    from strokereg.api.synthesis import synthesize as make

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("synthesising", total=None)
        made = make(
            out=out or OUT,
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
            **asked,  # type: ignore[arg-type]
        )
    click.echo(str(made))
