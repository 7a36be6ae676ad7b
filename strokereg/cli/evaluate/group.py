"""`strokereg evaluate`: compare generated data with real data; one file per command."""

from __future__ import annotations

import click

from strokereg.cli.main import LazyGroup

COMMANDS = {
    "generator": (
        "strokereg.cli.evaluate.generator:generator",
        "Compare generated lesion masks with real masks in MNI space.",
    ),
    "translator": (
        "strokereg.cli.evaluate.translator:translator",
        "Compare translated images with real scans of held-out cases.",
    ),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def evaluate() -> None:
    """Compare the output of generators or translators with real data, in a table and a sheet of pictures."""
