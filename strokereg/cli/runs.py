"""`strokereg runs`: list, show and delete trained runs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import click

from strokereg.registry.errors import counted

_DIGITS = 8  # of the name of a run, enough to find it
FOLDERS = click.argument("folders", nargs=-1, type=click.Path(path_type=Path))


@click.group()
def runs() -> None:
    """List, show and delete the runs of studies."""


@runs.command("list", epilog="Example: strokereg runs list strokereg-study")
@FOLDERS
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_(folders: Sequence[Path], as_json: bool) -> None:
    """List the runs of studies or stores; without FOLDERS, those of all studies on this machine.

    The last column is the end of the name of the run's folder, by which 'runs show' finds it. Dice is the mean over
    the test cases.
    """
    from dataclasses import asdict
    from itertools import groupby

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from strokereg.core.study.store import list_runs

    found = list_runs(folders)
    if as_json:
        click.echo(json.dumps([asdict(run) for run in found], default=str))
        return
    console = Console(highlight=False)
    for store, runs in groupby(found, key=lambda run: run.folder.parent):
        click.echo(str(store))
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
        table.add_column("network", overflow="fold")
        table.add_column("arm", overflow="fold")
        for heading in ("cases", "seed", "steps", "Dice %", "MB", "state", "run"):
            table.add_column(heading, no_wrap=True, justify="left" if heading in ("state", "run") else "right")
        for run in runs:
            numbers = ("" if n is None else str(n) for n in (run.cases, run.seed, run.steps))
            dice = "" if run.dice is None else f"{100 * run.dice:.1f}"
            if run.dice is None and run.validation_dice is not None:
                dice = f"{100 * run.validation_dice:.1f} v"
            size, name = f"{run.bytes / 1e6:.1f}", run.folder.name
            name = name[-_DIGITS:] if re.search(r"-[0-9a-f]{16}$", name) else name
            table.add_row(f"{run.kind} {run.architecture}", escape(run.arm), *numbers, dice, size, run.state, name)
        console.print(table)
    if any(run.dice is None and run.validation_dice is not None for run in found):
        click.echo("v: on validation cases, as there is no score on test cases", err=True)


@runs.command(epilog="Example: strokereg runs show strokereg-study/runs/segmenter-unet-1f0c…")
@click.argument("run")
def show(run: str) -> None:
    """Print the record, outcome and origin of one run as JSON; RUN is its folder, or part of its name."""
    from strokereg.core.study.store import find_run

    place = find_run(run)
    parts = [*place.glob("run.json"), *place.glob("origin.json"), *sorted(place.glob("outcome*.json"))]
    if not parts:
        from strokereg.registry.errors import InputError

        raise InputError(f"{place}: holds no record of a run; give the folder of one ('strokereg runs list')")
    content = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in parts}
    click.echo(json.dumps({"folder": str(place), **content}, indent=2))


@runs.command(epilog="Example: strokereg runs gc strokereg-study --yes")
@FOLDERS
@click.option("--yes", is_flag=True, help="Delete the runs. Without --yes, they are only listed.")
def gc(folders: Sequence[Path], yes: bool) -> None:
    """Delete runs that no study needs: of earlier settings, of deleted studies, or incomplete after a crash."""
    from strokereg.core.study.store import collect_garbage

    useless, alone = collect_garbage(folders, yes)
    for store in alone:
        click.echo(f"{store}: no study has listed what it needs there, so its runs are kept", err=True)
    for place in useless:
        click.echo(str(place))
    outcome = "deleted" if yes else "not needed; repeat with --yes to delete them" if useless else "not needed"
    click.echo(f"{counted(len(useless), 'folder')} {outcome}.", err=True)
