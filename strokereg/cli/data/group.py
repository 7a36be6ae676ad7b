"""`strokereg data`: the group of commands that make, import, check and split cohorts."""

from __future__ import annotations

import click

from strokereg.cli.data.check import check
from strokereg.cli.data.export import export
from strokereg.cli.data.imports import import_, readers
from strokereg.cli.data.label import label
from strokereg.cli.data.prepare import prepare
from strokereg.cli.data.simulate import simulate
from strokereg.cli.data.split import split


@click.group()
def data() -> None:
    """Make, import, check, split and export cohorts (BIDS folders of images with lesion masks)."""


for command in (import_, readers, simulate, check, split, label, prepare, export):
    data.add_command(command)
