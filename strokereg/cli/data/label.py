"""`strokereg data label`: tissue label maps for a cohort that has none."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(epilog="Example: strokereg data label cohorts/isles")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option(
    "--method",
    type=click.Choice(("hmrf", "kmeans", "atlas", "external")),
    default="hmrf",
    show_default=True,
    help="hmrf: intensities, neighbours and place; kmeans: intensities; atlas: place; external: --maps.",
)
@click.option("--maps", type=click.Path(path_type=Path), help="Folder of another tool's label maps, one a case.")
@click.option(
    "--label-table",
    type=click.Path(path_type=Path),
    help="Which code of --maps becomes which label: columns index, name.  [default: FreeSurfer's codes]",
)
@click.option("--overwrite", is_flag=True, help="Make again what an earlier call made.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def label(
    cohort: Path,
    method: str,
    maps: Path | None,
    label_table: Path | None,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Make tissue label maps for the cases of COHORT that have none, from DWI and (better) ADC.

    They go to derivatives/tissues; look at sheet.png there. Interrupted and called again, it goes on.
    """
    from strokereg.cli.progress import counting
    from strokereg.core.tissue.cohort import label as label_missing

    with counting("labelling") as on_progress:
        done, sheet = label_missing(
            cohort,
            method,
            label_table=label_table,
            maps=maps,
            overwrite=overwrite,
            workers=workers,
            on_progress=on_progress,
        )
    counts = {"made": done.made, "found": done.found, "kept": done.kept}
    if as_json:
        told = {**counts, "method": method, "labels": list(done.table.names), "folder": str(done.folder)}
        click.echo(json.dumps({**told, "sheet": str(sheet)}))
        return
    click.echo(
        f"{done.made} cases labelled now, {done.found} before, {done.kept} with maps of their own; look at {sheet}",
        err=True,
    )
    click.echo(str(done.folder))
