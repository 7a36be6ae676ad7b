"""`strokereg data check`: list every fault of a cohort."""

from __future__ import annotations

import json
from pathlib import Path

import click

from strokereg.cli.values import convention_option
from strokereg.core.scan.view import Convention
from strokereg.registry.errors import RunFailed, counted


@click.command(epilog="Example: strokereg data check cohorts/isles22 --sheet isles22.png")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    help="Draw the slice with the largest lesion of each case into this PNG, and -2, -3 … for more than 60 cases.",
)
@convention_option
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON on stdout.")
def check(cohort: Path, sheet: Path | None, convention: Convention, as_json: bool) -> None:
    """List every fault in COHORT: errors first, then warnings.

    COHORT may also be a folder that 'strokereg data import' can read. Errors would stop a training, and the exit code
    is then 1. It is 0 if there are only warnings.
    """
    from strokereg.cli.output.progress import counting
    from strokereg.core.cohort.checks.check import check_data
    from strokereg.core.cohort.checks.sheet import draw_cases
    from strokereg.core.cohort.open import find_source

    with counting("checking") as on_case:
        checked = check_data(cohort, on_case)
    if sheet is not None:
        for page in draw_cases(find_source(cohort).cases, sheet, convention):
            click.echo(f"Sheet: {page}", err=True)
    errors = counted(len(checked.errors), "error")
    if as_json:
        click.echo(json.dumps(checked.plain(), indent=2, ensure_ascii=False))
    else:
        for finding in checked.errors:
            click.echo(f"error: {finding}")
        for finding in checked.warnings:
            click.echo(f"warning: {finding}")
        empty = f", {len(checked.empty_masks)} without lesion" if checked.empty_masks else ""
        summary = f"{errors}, {counted(len(checked.warnings), 'warning')}"
        click.echo(f"{counted(checked.cases, 'case')}{empty}: {summary}.", err=True)
    if checked.errors:
        raise RunFailed(f"{cohort}: {errors} would stop a training; each line says how to fix it")
