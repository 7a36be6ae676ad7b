"""`strokereg new-plugin`: a distribution of one's own to start from."""

from __future__ import annotations

from pathlib import Path

import click

from strokereg.cli.scaffold import KINDS
from strokereg.registry.specs import ReaderSpec


@click.command(epilog="Example: strokereg new-plugin mynet --role translator && pip install -e ./strokereg-mynet")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([str(kind) for kind in KINDS]),
    default="translator",
    show_default=True,
    help="What it is.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make.  [default: strokereg-NAME]")
def new_plugin(name: str, role: str, out: Path | None) -> None:
    """Write a complete plugin: a model that trains (or a reader), typed options, tests, README and CI.

    NAME is what users will type, in lower case with hyphens: mynet, my-net.
    """
    from strokereg.cli import scaffold

    folder = scaffold.new_plugin(name, role, out)
    path = folder if folder.is_absolute() else f"./{folder}"  # without a slash pip would look for it on an index
    then = "strokereg data readers" if role == ReaderSpec.role else f"strokereg check {name}"
    click.echo(f"Install it with: pip install -e {path}   and try it with: {then}", err=True)
    click.echo(str(folder))
