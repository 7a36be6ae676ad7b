"""`strokereg data`: make, bring in, check and divide cohorts."""

from __future__ import annotations

import json
from pathlib import Path

import click

from strokereg.cli.data.check import check
from strokereg.cli.data.imports import import_, readers
from strokereg.cli.data.label import label
from strokereg.cli.data.prepare import prepare
from strokereg.cli.values import Parts
from strokereg.core.cohort.split import DEFAULT_PARTS

_parts = click.option(
    "--parts", type=Parts(), default=DEFAULT_PARTS, help="Train, val, test in proportion.  [default: 6,1,3]"
)


@click.group()
def data() -> None:
    """Make, bring in, check and divide cohorts (BIDS folders of DWI with lesion masks)."""


for command in (import_, readers, check, label, prepare):
    data.add_command(command)


@data.command(
    epilog="Example: strokereg data simulate --cases 60 --out cohorts/soop60 --labels label_maps --lesions lesions_mni"
)
@click.option("--cases", type=int, required=True, help="Number of subjects, at least 5.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Cohort folder to make or to finish.")
@click.option(
    "--labels", type=click.Path(path_type=Path), help="Folder of FreeSurfer-coded label maps.  [default: MNI152]"
)
@click.option(
    "--lesions",
    type=click.Path(path_type=Path),
    help="Folder of lesion masks in MNI space.  [default: grown at random]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same voxels.")
@_parts
@click.option("--workers", type=int, help="Processes.  [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def simulate(
    cases: int,
    out: Path,
    labels: Path | None,
    lesions: Path | None,
    seed: int,
    parts: tuple[int, int, int],
    workers: int | None,
    as_json: bool,
) -> None:
    """Simulate a cohort: anatomy, lesion and diffusion physics give DWI, ADC, labels and exact lesion masks.

    Interrupted and called again with the same options, it makes only what is missing.
    """
    from strokereg.cli.progress import counting
    from strokereg.core.simulate import Simulation, simulate_cohort
    from strokereg.core.simulate.folder import summarise

    with counting("simulating") as on_progress:
        simulation = Simulation(cases, labels=labels, lesions=lesions, seed=seed, parts=parts)
        simulate_cohort(out, simulation, workers, on_progress)
    summary = summarise(out)
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(
        f"{summary['cases']} simulated cases in {out}: median lesion {summary['median_lesion_ml']:.1f} ml, "
        f"lesion {summary['median_dwi_ratio']:.2f} × as bright as the rest of the brain, "
        f"second reader's Dice {summary['mean_reader_dice']:.2f}",
        err=True,
    )
    click.echo(str(out))


@data.command(epilog="Example: strokereg data split cohorts/mine --folds 5")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option("--folds", type=int, help="Write split_fold-1.tsv … for a cross-validation instead.")
@_parts
@click.option("--seed", type=int, default=0, show_default=True, help="Of the shuffle among lesions of like size.")
def split(cohort: Path, folds: int | None, parts: tuple[int, int, int], seed: int) -> None:
    """Write split.tsv for COHORT: subjects for training, validation and test, as 60 : 10 : 30 if not told otherwise.

    Subjects of like lesion volume are spread over the parts. With --folds each subject is tested in one fold; train on
    one with --fold. An existing split is never overwritten.
    """
    from strokereg.core.cohort.split_cohort import split_cohort

    for path in split_cohort(cohort, seed, folds, parts):
        click.echo(str(path))
