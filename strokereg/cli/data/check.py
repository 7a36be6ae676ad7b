"""`strokereg data check`: everything that is wrong with a cohort, in one list."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import click

from strokereg.cli.values import counted
from strokereg.registry.errors import RunFailed


@click.command(epilog="Example: strokereg data check cohorts/isles22 --sheet isles22.png")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option("--sheet", type=click.Path(path_type=Path), help="Draw each case's largest lesion slice into this PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON on stdout.")
def check(cohort: Path, sheet: Path | None, as_json: bool) -> None:
    """List every fault in COHORT (or in a folder that 'strokereg data import' knows): errors, then warnings.

    Exits 1 where there are errors: a training would stop at them. Warnings alone exit 0.
    """
    from strokereg.cli.progress import counting
    from strokereg.core.cohort.checks.check import check_data
    from strokereg.core.cohort.checks.sheet import draw_data

    with counting("checking") as on_count:
        counter = itertools.count(1)
        found = check_data(cohort, lambda name, total: on_count(next(counter), total))
    if sheet is not None:
        draw_data(cohort, sheet)
        click.echo(f"Sheet: {sheet}", err=True)
    if as_json:
        click.echo(json.dumps(found.plain(), indent=2, ensure_ascii=False))
    else:
        for finding in found.errors:
            click.echo(f"error: {finding}")
        for finding in found.warnings:
            click.echo(f"warning: {finding}")
        empty = f", {len(found.empty_masks)} without lesion" if found.empty_masks else ""
        told = f"{counted(len(found.errors), 'error')}, {counted(len(found.warnings), 'warning')}"
        click.echo(f"{counted(found.cases, 'case')}{empty}: {told}.", err=True)
    if found.errors:
        raise RunFailed(
            f"{cohort}: {counted(len(found.errors), 'error')} would stop a training; each line says how to fix it"
        )
