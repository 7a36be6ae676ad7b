"""`strokereg data prepare`: prepare the cases of a cohort for training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from strokereg.cli.values import Names, goes_on, image_options
from strokereg.core.scan import DEFAULT_SPACING


@click.command(epilog="Example: strokereg data prepare cohorts/isles --spacing 2 --dims 3")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option("--channels", type=Names(), help="Image contrasts: dwi,adc or FLAIR.  [default: dwi, or the only one]")
@click.option(
    "--spacing", type=float, default=DEFAULT_SPACING[0], show_default=True, help="Voxel size of the network grid in mm."
)
@click.option("--dims", type=click.IntRange(2, 3), default=2, show_default=True, help="2 for slices, 3 for volumes.")
@image_options
@click.option("--fold", type=int, help="Fold of a cross-validation, from 1.  [default: split.tsv]")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@goes_on
def prepare(
    cohort: Path,
    channels: tuple[str, ...] | None,
    spacing: float,
    dims: int,
    interpolation: Literal["linear", "cubic"] | None,
    scaling: Literal["median", "zscore", "percentile"] | None,
    fold: int | None,
    as_json: bool,
) -> None:
    """Prepare the cases of COHORT for training.

    The training and validation cases are resampled to the network grid and scaled. 'train' and 'compare' with the same
    options use the prepared cases, which stay in the cache. An interrupted call can be repeated: no case is prepared
    twice. Several calls at the same time are safe.
    """
    from strokereg.cli.output.progress import counting
    from strokereg.core.cohort.cohort import open_cohort
    from strokereg.core.train.dataset import DatasetSettings, prepare_dataset

    settings = DatasetSettings(
        channels=channels,
        spacing=(spacing,) * 3,
        dims=dims,
        interpolation=interpolation or "linear",
        scaling=scaling or "median",
    )
    with counting("preparing") as on_progress:
        dataset = prepare_dataset(open_cohort(cohort, fold), settings, on_progress=on_progress)
    cases = [*dataset.train, *dataset.validation]
    folders = {case.name: str(case.folder) for case in cases}
    if as_json:
        counts = {"train": len(dataset.train), "val": len(dataset.validation), "size": list(dataset.problem.size)}
        click.echo(json.dumps({**counts, "preparation": dataset.preparation.model_dump(), "folders": folders}))
        return
    size = " × ".join(map(str, dataset.problem.size[::-1]))
    click.echo(
        f"{len(dataset.train)} training and {len(dataset.validation)} validation cases are prepared: "
        f"{'slices' if dims == 2 else 'volumes'} of {size} voxels of {spacing:g} mm",
        err=True,
    )
    for name, folder in folders.items():
        click.echo(f"{name}\t{folder}")
