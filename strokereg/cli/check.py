"""`strokereg check`: run the conformance checks on a model."""

from __future__ import annotations

import json
import sys
import traceback
from typing import TYPE_CHECKING

import click

from strokereg.cli.main import debugging
from strokereg.cli.values import Numbers, Pairs
from strokereg.registry.specs import ROLES

if TYPE_CHECKING:
    from strokereg.testing.run import Outcome

_SIGNS = {"passed": "ok", "failed": "FAILED", "skipped": "–", "expected": "expected"}


@click.command(epilog="Example: strokereg check mynet --set width=4")
@click.argument("name")
@click.option(
    "--role", type=click.Choice([str(role) for role in ROLES]), help="Role of a class that is not registered."
)
@click.option("--dims", type=Numbers(), help="2, 3 or 2,3.  [default: all that the spec offers]")
@click.option("--set", "options", type=Pairs(), multiple=True, help="Option of the architecture: --set width=4.")
@click.option(
    "--size", type=click.IntRange(8), help="Edge of the toy brains in voxels.  [default: the smallest that works]"
)
@click.option(
    "--expect", type=Pairs(), multiple=True, help="A check that may fail, with the reason: --expect bf16=reason."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    name: str,
    role: str | None,
    dims: tuple[int, ...] | None,
    options: tuple[tuple[str, str], ...],
    size: int | None,
    expect: tuple[tuple[str, str], ...],
    as_json: bool,
) -> int:
    """Run the conformance checks on a model, in each dimension that it offers.

    NAME is what 'strokereg models' lists, or package.module:Class with --role. The model is built, trained for a few
    steps on toy brains, resumed, exported and compared. This takes well under a minute for a small network. If a check
    fails, the output gives the rule, what was observed and how to fix it, and the exit code is 1.
    """
    from strokereg.testing import conformance

    outcomes = conformance.check(
        name,
        role=role,
        dims=dims,
        options=dict(options),
        edge=size,
        expected=dict(expect),
        on_outcome=(lambda outcome: None) if as_json else _print,
    )
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if as_json:
        click.echo(json.dumps([_row(outcome) for outcome in outcomes], indent=2))
    elif failed:
        click.echo("")
        for outcome in failed:
            click.echo(outcome.message)
            if debugging() and outcome.cause is not None:
                click.echo("".join(traceback.format_exception(outcome.cause)), err=True)
        if not debugging():
            click.echo("Run 'strokereg --debug check …' for the tracebacks.", err=True)
    passed = sum(outcome.status == "passed" for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    other = len(outcomes) - passed - len(failed)
    click.echo(f"{name}: {passed} passed, {len(failed)} failed, {other} not run, in {seconds:.0f} s", err=True)
    return 1 if failed else 0


def _row(outcome: Outcome) -> dict[str, object]:
    fields = ("check", "dims", "status", "seconds", "message")
    return {name: getattr(outcome, name) for name in fields} | {"seconds": round(outcome.seconds, 3)}


def _print(outcome: Outcome) -> None:
    """Print a line of the table: aligned on a terminal, else tab-separated."""
    words = [_SIGNS[outcome.status], f"{outcome.dims}D", outcome.check, f"{outcome.seconds:.2f} s"]
    words.append("" if outcome.status == "failed" else outcome.message)
    if sys.stdout.isatty():
        click.echo("{:<9}{:<4}{:<32}{:>8}  {}".format(*words).rstrip())
    else:
        click.echo("\t".join(words))
