"""`strokereg new-plugin`: a distribution of one's own to start from."""

from __future__ import annotations

from pathlib import Path

import click

from strokereg.core.specs import ROLES


@click.command(epilog="Example: strokereg new-plugin mynet --role translator && pip install -e ./strokereg-mynet")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="translator", show_default=True, help="What it makes.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make.  [default: strokereg-NAME]")
def new_plugin(name: str, role: str, out: Path | None) -> None:
    """Write a complete plugin: a model that trains, typed options, tests with the conformance kit, README and CI.

    NAME is what users will type, in lower case with hyphens: mynet, my-net.
    """
    from strokereg import api

    folder = api.new_plugin(name, role, out)
    path = folder if folder.is_absolute() else f"./{folder}"  # without a slash pip would look for it on an index
    click.echo(f"Install it with: pip install -e {path}   and try it with: strokereg check {name}", err=True)
    click.echo(str(folder))
