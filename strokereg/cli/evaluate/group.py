"""`strokereg evaluate`: hold what architectures make against what is real; one file a command."""

from __future__ import annotations

import click

from strokereg.cli.main import LazyGroup

COMMANDS = {
    "generator": (
        "strokereg.cli.evaluate.generator:generator",
        "Lesion masks of generators against real masks in MNI space.",
    ),
    "translator": (
        "strokereg.cli.evaluate.translator:translator",
        "Images of translators against scans of held-out cases.",
    ),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def evaluate() -> None:
    """Hold what architectures make against what is real: one table and one sheet of pictures."""
