"""`strokereg evaluate`: score segmenters, and compare generated data with real data; one file per command."""

from __future__ import annotations

import click

from strokereg.cli.main import LazyGroup

COMMANDS = {
    "segmenter": (
        "strokereg.cli.evaluate.segmenter:segmenter",
        "Score runs, exported files or masks of other tools on a cohort.",
    ),
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
    """Compare predicted masks, generated masks or translated images with real ones."""
