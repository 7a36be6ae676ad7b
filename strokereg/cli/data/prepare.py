"""`strokereg data prepare`: a cohort on the network grid, before anything trains on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from strokereg.cli.values import Names, image_options


@click.command(epilog="Example: strokereg data prepare cohorts/isles --spacing 2 --dims 3")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option("--channels", type=Names(), default="dwi", show_default=True, help="Image contrasts: dwi,adc.")
@click.option("--spacing", type=float, default=3.0, show_default=True, help="Voxel edge of the network grid in mm.")
@click.option("--dims", type=click.IntRange(2, 3), default=2, show_default=True, help="2: axial slices, 3: volumes.")
@image_options
@click.option("--fold", type=int, help="Of a cross-validation, from 1.  [default: split.tsv]")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def prepare(
    cohort: Path,
    channels: tuple[str, ...],
    spacing: float,
    dims: int,
    interpolation: Literal["linear", "cubic"] | None,
    scaling: Literal["median", "zscore", "percentile"] | None,
    fold: int | None,
    as_json: bool,
) -> None:
    """Prepare the training and validation cases of COHORT, as train and compare do with the same options.

    Prepared cases are kept in the cache and found by their content: called again, or by a training, nothing is done
    twice. Interrupted and called again, it goes on. Two calls at once do no harm.
    """
    from strokereg.cli.progress import counting
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
        told = {"train": len(dataset.train), "val": len(dataset.validation), "size": list(dataset.problem.size)}
        click.echo(json.dumps({**told, "preparation": dataset.preparation.model_dump(), "folders": folders}))
        return
    size = " × ".join(map(str, dataset.problem.size[::-1]))
    click.echo(
        f"{len(dataset.train)} training and {len(dataset.validation)} validation cases are ready: "
        f"{'slices' if dims == 2 else 'volumes'} of {size} voxels of {spacing:g} mm",
        err=True,
    )
    for name, folder in folders.items():
        click.echo(f"{name}\t{folder}")
