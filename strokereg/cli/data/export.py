"""`strokereg data export`: a cohort in the format of another tool."""

from __future__ import annotations

import json
from pathlib import Path

import click

from strokereg.cli.values import Names
from strokereg.core.cohort.exporting import ExportFormat


@click.command(
    epilog="Example: strokereg data export cohorts/soop --cases 10 --add cohorts/synthetic --format nnunet "
    "--out nnUNet_raw/Dataset101_stroke"
)
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice([str(kind) for kind in ExportFormat]),
    required=True,
    help="nnunet: raw data set of nnU-Net v2; bids: BIDS dataset; monai: datalist.json of MONAI.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make.")
@click.option(
    "--add",
    "added",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Cohort that joins the training cases: a synthetic one with all cases, others with those of their split's "
    "training part. Repeat for several.",
)
@click.option(
    "--cases",
    type=click.IntRange(min=1),
    help="Use the first N training cases of COHORT, as 'compare --cases' does.  [default: all]",
)
@click.option("--channels", type=Names(), help="Contrasts to write: dwi,adc.  [default: all that every case has]")
@click.option("--fold", type=int, help="Fold of a cross-validation, from 1.  [default: split.tsv]")
@click.option("--link/--copy", default=False, help="Link or copy the files.  [default: copy]")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
def export(
    cohort: Path,
    kind: str,
    out: Path,
    added: tuple[Path, ...],
    cases: int | None,
    channels: tuple[str, ...] | None,
    fold: int | None,
    link: bool,
    as_json: bool,
) -> None:
    """Write COHORT in the format of another tool, with its split.

    Files keep their bytes, so voxels and affines do not change. The split of COHORT decides which cases validate and
    test. Cases of --add get names that begin with the name of their folder.
    """
    from strokereg.cli.output.progress import counting
    from strokereg.core.cohort.exporting.choose import ExportSettings
    from strokereg.core.cohort.exporting.run import export_data

    settings = ExportSettings(ExportFormat(kind), channels, cases, fold, link)
    with counting("exporting") as on_case:
        done = export_data(cohort, out, settings, added, on_case)
    if as_json:
        click.echo(json.dumps(done.plain()))
        return
    train, val, test = done.counts.values()
    click.echo(f"{train} training, {val} validation and {test} test cases: {', '.join(done.channels)}", err=True)
    for note in done.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(str(out))
