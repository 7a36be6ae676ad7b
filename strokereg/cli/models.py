"""`strokereg models`: list the registered architectures and the plugins that were left out."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from strokereg.registry.catalogue import Catalogue, bundles, catalogue, readers, trackers
from strokereg.registry.errors import InputError
from strokereg.registry.installed import Entry
from strokereg.registry.specs import NETWORKS, ROLES


@click.command(epilog="Example: strokereg models 'spade*' --role translator")
@click.argument("pattern", default="*")
@click.option("--role", type=click.Choice([str(role) for role in ROLES]), help="List this role only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown table with the papers.")
@click.option("--exports", is_flag=True, help="With --markdown: list export formats instead of papers.")
@click.option("--broken", is_flag=True, help="List the plugins that were left out, with reason and fix.")
@click.option("--build", is_flag=True, help="With --broken: also build all models of plugins; takes seconds.")
@click.option("--weights", is_flag=True, help="List exported models with their weights, for 'strokereg segment'.")
@click.option("--strict", is_flag=True, help="Exit 1 if a plugin is broken or a name is claimed twice.")
def models(
    pattern: str,
    role: str | None,
    as_json: bool,
    as_markdown: bool,
    exports: bool,
    broken: bool,
    build: bool,
    weights: bool,
    strict: bool,
) -> None:
    """List the registered architectures whose name matches PATTERN (quote it: 'spade*')."""
    if weights and (role or as_markdown or broken):
        raise click.UsageError("--weights is a list of its own; leave --role, --markdown and --broken out")
    if broken and (pattern != "*" or role):
        raise click.UsageError("--broken lists every fault; leave PATTERN and --role out")
    if build and not broken:
        raise click.UsageError("--build needs --broken")
    if as_markdown and (broken or as_json):
        raise click.UsageError("--markdown is for the list of models; leave --json and --broken out")
    if exports and not as_markdown:
        raise click.UsageError("--exports is a Markdown table; add --markdown")
    known = catalogue()
    if strict:
        known.check()
        readers().check()
        trackers().check()
        bundles().check()
    if broken:
        faults = [*known.quarantined]
        if build:
            from strokereg.testing.conformance import unbuildable

            faults += unbuildable()
        rows = [dataclasses.asdict(fault) for fault in faults]
        rows += [row for names in (known, readers(), trackers(), bundles()) for row in _clashes(names)]
    elif weights:
        rows = [_row(bundles(), entry) for entry in _matching(bundles(), pattern, None, "bundle")]
    else:
        rows = [_row(known, entry) for entry in _matching(known, pattern, role)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif as_markdown:
        click.echo(export_table(rows) if exports else markdown(rows))
    elif broken:
        _print(["plugin", "distribution", "reason", "fix"], [_broken(row) for row in rows])
    elif weights:
        _print(["name", "task", "contrasts", "summary", "from"], [_weights(row) for row in rows])
    else:
        _print(["name", "role", "dims", "summary", "from"], [_short(row) for row in rows])
    if broken and not rows:
        click.echo("Nothing is broken.", err=True)
    elif not broken and (counted := _count(known)):
        click.echo(f"{counted}: see 'strokereg models --broken'.", err=True)


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows of `--json` as a Markdown table, as in the README."""
    lines = ["| name | role | dims | what | source |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        dims = ", ".join(f"{dims}D" for dims in row["dims"])
        what = row["summary"] if row.get("paired", True) else f"{row['summary']}; unpaired"
        lines.append(f"| `{row['name']}` | {row['role']} | {dims} | {what} | {row['paper']} |")
    return "\n".join(lines)


def export_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows of `--json` as a Markdown table of export formats, as in docs/reference/exported-files.md.

    The flag `onnx` covers `.pt2` too, because ONNX is converted from it; the conformance kit tests all three formats.
    """
    lines = ["| name | role | dims | onnx | torchscript | pt2 |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        if row["role"] in NETWORKS:
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


def _matching(known: Catalogue, pattern: str, role: str | None, kind: str = "model") -> list[Entry]:
    entries = known.select(pattern, role)
    if not entries and pattern != "*":
        listed = ", ".join(known.available(role=role)) or "none"
        raise InputError(f"no {role or kind} matches {pattern!r}; installed are: {listed}")
    return entries


def _row(known: Catalogue, entry: Entry) -> dict[str, Any]:
    """All facts about an entry; `name` is what to type."""
    fields = {**dataclasses.asdict(entry.spec), "name": known.label(entry), "role": entry.spec.role}
    first = ("name", "role", "dims", "summary")
    return {
        **{key: fields.pop(key) for key in first if key in fields},
        **fields,
        "distribution": entry.distribution,
        "version": entry.version,
    }


def _clashes(known: Catalogue) -> list[dict[str, Any]]:
    """Names that are claimed twice, in the form of plugins in quarantine; the full names stay usable."""
    return [
        {
            "plugin": entry.spec.name,
            "distribution": entry.distribution,
            "version": entry.version,
            "reason": f"shares its name with {' and '.join(other.origin for other in entries if other is not entry)}",
            "fix": f"write {entry.qualified}, or uninstall one",
        }
        for entries in known.clashes().values()
        for entry in entries
    ]


def _short(row: dict[str, Any]) -> list[str]:
    dims = ", ".join(f"{dims}D" for dims in row["dims"])
    return [row["name"], row["role"], dims, row["summary"], f"{row['distribution']} {row['version']}"]


def _weights(row: dict[str, Any]) -> list[str]:
    return [
        row["name"],
        row["task"],
        ", ".join(row["contrasts"]),
        row["summary"],
        f"{row['distribution']} {row['version']}",
    ]


def _broken(row: dict[str, Any]) -> list[str]:
    return [row["plugin"], f"{row['distribution']} {row['version']}", row["reason"], row["fix"]]


def _print(heads: list[str], rows: list[list[str]]) -> None:
    """Print a table with a header on a terminal, else tab-separated lines without one."""
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
