"""`strokereg data label`: tissue label maps for a cohort that has none."""

from __future__ import annotations

import json
from pathlib import Path

import click

from strokereg.cli.values import convention_option
from strokereg.core.scan.view import Convention
from strokereg.core.tissue import Method


@click.command(epilog="Example: strokereg data label cohorts/isles")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option(
    "--method",
    type=click.Choice([str(method) for method in Method]),
    help="mixture: any contrast; hmrf and kmeans: DWI; atlas: location alone; external: --maps.  "
    "[default: hmrf for DWI, else mixture]",
)
@click.option("--maps", type=click.Path(path_type=Path), help="Folder with a label map of another tool for each case.")
@click.option(
    "--label-table",
    type=click.Path(path_type=Path),
    help="Which code of --maps becomes which label: columns index, name.  [default: FreeSurfer's codes]",
)
@click.option("--overwrite", is_flag=True, help="Make the maps of an earlier call again.")
@click.option("--workers", type=click.IntRange(min=1), help="Number of processes.  [default: one per core]")
@convention_option
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def label(
    cohort: Path,
    method: str | None,
    maps: Path | None,
    label_table: Path | None,
    overwrite: bool,
    workers: int | None,
    convention: Convention,
    as_json: bool,
) -> None:
    """Make tissue label maps for COHORT.

    Cases without a map get one, from their first image and, with DWI, the ADC. The maps go to derivatives/tissues, with
    sheet.png for checking them by eye. A second call labels the missing cases.
    """
    from strokereg.cli.output.progress import counting
    from strokereg.core.tissue.cohort import Labelling, label_cohort

    with counting("labelling") as on_progress:
        done = label_cohort(cohort, Labelling(method, maps, label_table, overwrite, convention), workers, on_progress)
    if as_json:
        counts = {"made": done.made, "found": done.found, "kept": done.kept, "method": done.method}
        places = {"folder": str(done.folder), "sheet": str(done.sheet)}
        click.echo(json.dumps({**counts, "labels": list(done.table.names), **places}))
        return
    click.echo(
        f"{done.made} cases labelled, {done.found} labelled before, {done.kept} with other maps; see {done.sheet}",
        err=True,
    )
    click.echo(str(done.folder))
