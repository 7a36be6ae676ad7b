"""`strokereg data split`: the split of a cohort into training, validation and test."""

from __future__ import annotations

from pathlib import Path

import click

from strokereg.cli.values import Parts
from strokereg.core.cohort.split import DEFAULT_PARTS

parts_option = click.option(
    "--parts", type=Parts(), default=DEFAULT_PARTS, help="Train, val, test in proportion.  [default: 6,1,3]"
)


@click.command(epilog="Example: strokereg data split cohorts/mine --folds 5")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option("--folds", type=int, help="Number of folds; writes split_fold-1.tsv … for a cross-validation.")
@parts_option
@click.option("--test-site", help="Site of participants.tsv whose subjects are the test cases.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the shuffle among lesions of similar size."
)
def split(cohort: Path, folds: int | None, parts: tuple[int, int, int], test_site: str | None, seed: int) -> None:
    """Split COHORT into training, validation and test.

    The split is by subject and is written to split.tsv. Every part gets small and large lesions. With --folds, each
    subject is tested in one fold; train on a fold with --fold. With --test-site, the subjects of one imported site are
    the test cases. An existing split is never overwritten.
    """
    from strokereg.core.cohort.split_cohort import split_cohort

    for path in split_cohort(cohort, seed, folds, parts, test_site):
        click.echo(str(path))
