"""`strokereg new-plugin`: create a plugin package to start from."""

from __future__ import annotations

from pathlib import Path

import click

from strokereg.cli.scaffold import KINDS
from strokereg.registry.specs import Role


@click.command(epilog="Example: strokereg new-plugin mynet --role translator && pip install -e ./strokereg-mynet")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([str(kind) for kind in KINDS]),
    default="translator",
    show_default=True,
    help="What the plugin adds.",
)
@click.option("--out", type=click.Path(path_type=Path), help="New folder.  [default: strokereg-NAME]")
def new_plugin(name: str, role: str, out: Path | None) -> None:
    """Create a complete plugin package: a working model (or reader), typed options, tests, README and CI.

    NAME is the name that users will type, in lower case with hyphens: mynet, my-net.
    """
    from strokereg.cli import scaffold

    folder = scaffold.new_plugin(name, role, out)
    path = folder if folder.is_absolute() else f"./{folder}"  # without a slash, pip would search a package index
    then = "strokereg data readers" if role == Role.READER else f"strokereg check {name}"
    click.echo(f"Install it: pip install -e {path}   Then try it: {then}", err=True)
    click.echo(str(folder))
