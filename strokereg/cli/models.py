"""`strokereg models`: what is registered, and what had to be left out."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from strokereg.registry.catalogue import Catalogue, catalogue, readers, trackers
from strokereg.registry.errors import InputError
from strokereg.registry.installed import Entry
from strokereg.registry.specs import ROLES


@click.command(epilog="Example: strokereg models 'spade*' --role translator")
@click.argument("pattern", default="*")
@click.option("--role", type=click.Choice([str(role) for role in ROLES]), help="Only this role.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown table, papers included.")
@click.option("--exports", is_flag=True, help="With --markdown: what each exports to, in place of papers.")
@click.option("--broken", is_flag=True, help="List the plugins that were left out, why, and the mend.")
@click.option("--build", is_flag=True, help="With --broken: also build what plugins list, which takes seconds.")
@click.option("--strict", is_flag=True, help="Fail (exit 1) if a plugin is broken or a name is claimed twice.")
def models(
    pattern: str,
    role: str | None,
    as_json: bool,
    as_markdown: bool,
    exports: bool,
    broken: bool,
    build: bool,
    strict: bool,
) -> None:
    """List the registered architectures whose name fits PATTERN (quote it: 'spade*')."""
    if broken and (pattern != "*" or role):
        raise click.UsageError("--broken lists every fault; leave PATTERN and --role out")
    if build and not broken:
        raise click.UsageError("--build goes with --broken")
    if as_markdown and (broken or as_json):
        raise click.UsageError("--markdown is for the list of models; leave --json and --broken out")
    if exports and not as_markdown:
        raise click.UsageError("--exports is a Markdown table; add --markdown")
    known = catalogue()
    if strict:
        known.check()
        readers().check()
        trackers().check()
    if broken:
        faults = [*known.quarantined]
        if build:
            from strokereg.testing.conformance import unbuildable

            faults += unbuildable()
        rows = [dataclasses.asdict(fault) for fault in faults]
        rows += [row for names in (known, readers(), trackers()) for row in _clashes(names)]
    else:
        rows = [_row(known, entry) for entry in _matching(known, pattern, role)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif as_markdown:
        click.echo(export_table(rows) if exports else markdown(rows))
    elif broken:
        _print(["plugin", "distribution", "reason", "mend"], [_told(row) for row in rows])
    else:
        _print(["name", "role", "dims", "summary", "from"], [_short(row) for row in rows])
    if broken and not rows:
        click.echo("Nothing is broken.", err=True)
    elif not broken and (counted := _count(known)):
        click.echo(f"{counted}: see 'strokereg models --broken'.", err=True)


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows of `--json` as the table in the README, which a test holds against this."""
    lines = ["| name | role | dims | what | source |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        dims = ", ".join(f"{dims}D" for dims in row["dims"])
        flags = [word for word, said in (("unpaired", not row.get("paired", True)),) if said]
        what = "; ".join([row["summary"], *flags])
        lines.append(f"| `{row['name']}` | {row['role']} | {dims} | {what} | {row['paper']} |")
    return "\n".join(lines)


def export_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """What exports to which format, as the table on the deployment page, which a test holds against this.

    A `.pt2` is the program that ONNX is made from, so `onnx` speaks for both; the conformance kit tries all three.
    """
    lines = ["| name | role | dims | onnx | torchscript | pt2 |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        if row["role"] != "mixer":
            dims = ", ".join(f"{dims}D" for dims in row["dims"])
            onnx, torchscript = ("yes" if row[flag] else "no" for flag in ("onnx", "torchscript"))
            lines.append(f"| `{row['name']}` | {row['role']} | {dims} | {onnx} | {torchscript} | {onnx} |")
    return "\n".join(lines)


def _count(known: Catalogue) -> str:
    """'2 plugins are broken and 1 name is claimed twice', or an empty string."""
    plugins, names = len(known.quarantined), len(known.clashes())
    parts = [f"{plugins} plugin{' is' if plugins == 1 else 's are'} broken"] if plugins else []
    parts += [f"{names} name{' is' if names == 1 else 's are'} claimed twice"] if names else []
    return " and ".join(parts)


def _matching(known: Catalogue, pattern: str, role: str | None) -> list[Entry]:
    entries = known.select(pattern, role)
    if not entries and pattern != "*":
        listed = ", ".join(known.available(role=role)) or "none"
        raise InputError(f"no {role or 'model'} fits {pattern!r}; installed are: {listed}")
    return entries


def _row(known: Catalogue, entry: Entry) -> dict[str, Any]:
    """Everything that is known of an entry; `name` is what to type."""
    fields = {**dataclasses.asdict(entry.spec), "name": known.label(entry), "role": entry.spec.role}
    first = ("name", "role", "dims", "summary")
    return {
        **{key: fields.pop(key) for key in first},
        **fields,
        "distribution": entry.distribution,
        "version": entry.version,
    }


def _clashes(known: Catalogue) -> list[dict[str, Any]]:
    """Claims on one name, in the form of plugins in quarantine; they stay usable by their full names."""
    return [
        {
            "plugin": entry.spec.name,
            "distribution": entry.distribution,
            "version": entry.version,
            "reason": f"shares its name with {' and '.join(other.origin for other in entries if other is not entry)}",
            "mend": f"write {entry.qualified}, or uninstall one",
        }
        for entries in known.clashes().values()
        for entry in entries
    ]


def _short(row: dict[str, Any]) -> list[str]:
    dims = ", ".join(f"{dims}D" for dims in row["dims"])
    return [row["name"], row["role"], dims, row["summary"], f"{row['distribution']} {row['version']}"]


def _told(row: dict[str, Any]) -> list[str]:
    return [row["plugin"], f"{row['distribution']} {row['version']}", row["reason"], row["mend"]]


def _print(heads: list[str], rows: list[list[str]]) -> None:
    """A table for people; tab-separated lines without a head where a program reads."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, no_wrap=head in ("name", "plugin", "role", "dims"), overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
