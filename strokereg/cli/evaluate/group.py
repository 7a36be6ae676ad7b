"""`strokereg judge`: hold what architectures make against what is real; one file a command."""

from __future__ import annotations

import click

from strokereg.cli.main import LazyGroup

COMMANDS = {
    "masks": ("strokereg.cli.evaluate.generator:masks", "Lesion masks of generators against real masks in MNI space."),
    "images": ("strokereg.cli.evaluate.translator:images", "Images of translators against scans of held-out cases."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def judge() -> None:
    """Hold what architectures make against what is real: one table and one sheet of pictures."""
