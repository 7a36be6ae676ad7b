"""`strokereg data import` and `strokereg data readers`: import a folder of another layout into a cohort."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from strokereg.cli.values import Names, NamesOrFile, Pairs
from strokereg.registry.errors import InputError, RunFailed, counted

if TYPE_CHECKING:
    from strokereg.core.scan.placement import Form


@click.command(
    name="import",
    epilog="Example: strokereg data import /data/ISLES-2022 --out cohorts/isles22 --link --split",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Cohort folder to make or to continue.")
@click.option("--reader", help="Reader of FOLDER.  [default: the one that recognises its layout]")
@click.option(
    "--channels", type=Names(), help="Contrasts to import: dwi,FLAIR.  [default: dwi and adc; without DWI, all]"
)
@click.option("--images", help="Pattern of the images, for files with any names: '*_dwi.nii.gz'.")
@click.option("--masks", help="Pattern of the lesion masks: '*_lesion.nii.gz'.")
@click.option("--set", "options", type=Pairs(), multiple=True, help="Option of the reader: --set dwi=0.")
@click.option("--link/--copy", default=False, help="Link or copy the files that stay unchanged.  [default: copy]")
@click.option("--convert-adc", is_flag=True, help="Convert ADC in 10⁻⁶ mm²/s or mm²/s to 10⁻³ mm²/s.")
@click.option(
    "--resample",
    is_flag=True,
    help="Resample images, masks and label maps onto the grid of the first image.",
)
@click.option(
    "--lesion-label", type=int, help="The value that means lesion in the masks.  [default: they hold 0 and 1]"
)
@click.option(
    "--prefer",
    type=click.Choice(["sform", "qform"]),
    default="sform",
    help="Which of the two is right where they contradict.  [default: sform]",
)
@click.option(
    "--trust-shape",
    is_flag=True,
    help="Give files that lost their affine that of the first image, if it has the same shape.",
)
@click.option(
    "--average-directions", is_flag=True, help="Use the geometric mean of several diffusion directions as the DWI."
)
@click.option("--extract-brain", is_flag=True, help="Take the skull away, where the DWI shows one.")
@click.option("--exclude", type=NamesOrFile(), default=(), help="Cases to leave out now and later: names, or a file.")
@click.option("--site", help="Name of FOLDER among the sites of the cohort.  [default: the name of FOLDER]")
@click.option("--prefix", default="", help="Letters before the name of each subject, to tell two sites apart.")
@click.option("--split", is_flag=True, help="Also write split.tsv, as 'strokereg data split' does.")
@click.option("--test-site", help="Also write split.tsv with the subjects of this site as test cases.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
def import_(
    folder: Path,
    out: Path,
    reader: str | None,
    channels: tuple[str, ...] | None,
    images: str | None,
    masks: str | None,
    options: tuple[tuple[str, str], ...],
    link: bool,
    convert_adc: bool,
    resample: bool,
    lesion_label: int | None,
    prefer: Form,
    trust_shape: bool,
    average_directions: bool,
    extract_brain: bool,
    exclude: tuple[str, ...],
    site: str | None,
    prefix: str,
    split: bool,
    test_site: str | None,
    as_json: bool,
) -> None:
    """Import the cases of FOLDER into a cohort. FOLDER itself is never changed.

    The layout is recognised ('strokereg data readers' lists the known ones). Each case is checked. Faulty cases are
    left out and listed at the end, and the command exits 1. A second call imports the cases that are missing. A call
    with another FOLDER adds its cases as another site, and leaves out patients that the cohort has.
    """
    from strokereg.cli.output.progress import counting
    from strokereg.core.cohort.importing.run import import_data
    from strokereg.core.cohort.importing.transfer import ImportSettings

    patterns = {name: pattern for name, pattern in (("images", images), ("masks", masks)) if pattern is not None}
    settings = ImportSettings(
        reader=reader or ("folder" if patterns else None),
        channels=channels,
        options=dict(options) | patterns,
        link=link,
        convert_adc=convert_adc,
        resample=resample,
        lesion_label=lesion_label,
        prefer=prefer,
        trust_shape=trust_shape,
        average_directions=average_directions,
        extract_brain=extract_brain,
        exclude=exclude,
        site=site,
        prefix=prefix,
    )
    if test_site is not None and (out / "split.tsv").is_file():
        raise InputError(f"{out / 'split.tsv'}: exists already and is not overwritten; remove it or omit --test-site")
    with counting("importing") as on_case:
        done = import_data(folder, out, settings, on_case)
    there = len(done.imported) + len(done.found)
    if (split or test_site) and there and not (out / "split.tsv").is_file():
        from strokereg.core.cohort.split_cohort import split_cohort

        split_cohort(out, test_site=test_site)
    if as_json:
        click.echo(json.dumps(done.plain(), indent=2, ensure_ascii=False))
    else:
        before = f", {len(done.found)} imported before" if done.found else ""
        click.echo(f"{counted(len(done.imported), 'case')} imported as {done.reader}{before}.", err=True)
        if done.excluded:
            click.echo(f"Excluded on request: {', '.join(done.excluded)}", err=True)
        for warning in done.warnings:
            click.echo(f"Warning: {warning}", err=True)
        for case, reason in done.left_out.items():
            click.echo(f"Left out: {case}: {reason}", err=True)
        click.echo(str(out))
    if done.left_out:
        raise RunFailed(f"{out}: {len(done.left_out)} left out; fix them and call again, or go on without them")


@click.command(epilog="Example: strokereg data readers")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def readers(as_json: bool) -> None:
    """List the folder layouts that can be imported."""
    from strokereg.registry.catalogue import readers as known

    rows = [
        {
            **dataclasses.asdict(entry.spec),
            "name": known().label(entry),
            "distribution": entry.distribution,
            "version": entry.version,
        }
        for entry in known().entries
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['name']}\t{row['summary']}\t{row['distribution']} {row['version']}")
    if known().quarantined:
        click.echo("Some plugins are broken: see 'strokereg models --broken'.", err=True)
