"""`strokereg compare`: the study."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from strokereg.cli.values import (
    Cases,
    Names,
    Numbers,
    Pairs,
    Seeds,
    Shares,
    Start,
    convention_option,
    goes_on,
    image_options,
)
from strokereg.core.scan.view import Convention
from strokereg.registry.errors import RunFailed, counted

if TYPE_CHECKING:
    from strokereg.core.study.compare import Finished

_LISTED = 10  # values that differ


@click.command(epilog="Example: strokereg compare --models pix2pix,spade --data cohorts/soop60 --preset quick")
@click.option(
    "--models", type=Names(), help="Translators and mixers to compare: pix2pix,carvemix.  [default: clinical only]"
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Cohort folder, or simulated.  [default: embedded FLAIR slices of 300 patients]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for results and report.  [default: strokereg-study]"
)
@click.option("--preset", help="Budget: smoke, quick or full.  [default: quick]")
@click.option("--study", "file", type=click.Path(path_type=Path), help="Study file; command-line options override it.")
@click.option("--cases", type=Cases(), help="Numbers of clinical training cases: 10,50,all.")
@click.option("--validation-cases", type=int, help="Validation cases that choose weights.  [default: all]")
@click.option("--seeds", type=Seeds(), help="Number of seeds, or the seeds themselves: 3 or 0,1,2.")
@click.option(
    "--external", type=click.Path(path_type=Path), help="Second cohort, from elsewhere, to evaluate on as well."
)
@click.option("--fold", type=int, help="Cross-validation fold, from 1; give each its own --out.  [default: split.tsv]")
@click.option("--segmenter", "segmenters", type=Names(), help="Segmenters to train on every arm.  [default: unet]")
@click.option(
    "--from", "start", type=Start(), help="Run, exported file or bundle whose weights all segmenters start from."
)
@click.option("--generator", "generators", type=Names(), help="Generators of the lesion masks.  [default: mask-gan]")
@click.option(
    "--mask-library", type=click.Path(path_type=Path), help="Folder of lesion masks in MNI space, cohort or embedded."
)
@click.option("--anatomies", type=click.Path(path_type=Path), help="Folder of public label maps (FreeSurfer codes).")
@click.option("--share", "shares", type=Shares(), help="Synthetic share of each mixed batch: 0.5 or 0.25,0.5.")
@click.option(
    "--compose", type=Names(), help="Synthetic images: translated, edited, both, or several.  [default: translated]"
)
@click.option("--synthetic-cases", type=click.IntRange(1), help="Number of cases in each synthetic database.")
@click.option("--mixed-only", is_flag=True, help="Skip the arms that train on synthetic images alone.")
@click.option("--headroom/--no-headroom", default=None, help="Also train clinical only on all cases.")
@click.option(
    "--fresh-translators/--shared-translators", default=None, help="Train translators once per seed, or once for all."
)
@click.option(
    "--all-for-synthesis", is_flag=True, help="Train generator and translators on all training cases, as in the paper."
)
@click.option("--steps", type=Pairs(), multiple=True, help="Optimiser steps of a role: --steps segmenter=2000.")
@click.option("--patience", type=click.IntRange(0), help="Stop a segmenter after so many validations without a gain.")
@click.option("--batch-size", "batches", type=Pairs(), multiple=True, help="Batch size of a role: segmenter=16.")
@click.option("--set", "options", type=Pairs(), multiple=True, help="Option of a model: --set pix2pix.lr=1e-4.")
@click.option("--channels", type=Names(), help="Image contrasts: dwi,adc or FLAIR.  [default: dwi, or the only one]")
@click.option("--spacing", type=float, help="Voxel size of the network grid in mm.  [default: the preset's]")
@click.option("--dims", type=click.IntRange(2, 3), help="2 for axial slices, 3 for volumes.  [default: 2]")
@image_options
@click.option("--patch", type=Numbers(), help="Patch size in voxels: 64,64,64.  [default: the whole brain]")
@click.option("--flips", is_flag=True, help="Average predictions over the image and its mirror image (twice the time).")
@click.option("--device", help="auto, cpu, cuda (all GPUs), cuda:N or mps.")
@click.option("--precision", help="auto, fp32, tf32, bf16 or fp16.")
@click.option("--deterministic", is_flag=True, help="Deterministic algorithms only; slower on a GPU.")
@click.option("--threads", type=click.IntRange(1), help="Torch threads per worker (affects results).  [default: 1]")
@click.option("--workers", type=click.IntRange(1), help="Worker processes.  [default: one per core, more with GPUs]")
@click.option(
    "--same-as",
    type=click.Path(path_type=Path),
    metavar="RESULTS",
    help="Do all work anew; exit 1 if a number differs from this results.json of the same study.",
)
@click.option("--executor", default="local", show_default=True, help="local, or dask://host:port of a scheduler.")
@click.option(
    "--step-limit", type=click.IntRange(10), help="Seconds without a step until a task counts as hung.  [default: 3600]"
)
@click.option("--store", type=click.Path(path_type=Path), help="Folder for trained runs.  [default: runs in --out]")
@convention_option
@click.option("--track", type=Names(), default=(), help="Experiment trackers: tensorboard, mlflow.")
@click.option("--print-study", is_flag=True, help="Print the study file of these options and stop.")
@click.option("--dry-run", is_flag=True, help="Print arms, finished work and expected time, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json instead of the table.")
@goes_on
def compare(
    file: Path | None,
    out: Path | None,
    store: Path | None,
    fold: int | None,
    same_as: Path | None,
    steps: tuple[tuple[str, str], ...],
    batches: tuple[tuple[str, str], ...],
    options: tuple[tuple[str, str], ...],
    patience: int | None,
    spacing: float | None,
    all_for_synthesis: bool,
    mixed_only: bool,
    flips: bool,
    deterministic: bool,
    workers: int | None,
    executor: str,
    step_limit: int | None,
    convention: Convention,
    track: tuple[str, ...],
    print_study: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a segmenter with and without synthetic images and compare them on the same test cases.

    The command prints a table and writes a report. Run it again to continue an interrupted study. Without --data
    it uses real patients of the SOOP data set, one FLAIR slice each; --data simulated makes a cohort of DWI volumes.
    """
    from rich.console import Console
    from rich.markup import escape

    from strokereg.cli.output.progress import StudyProgress
    from strokereg.core.report.terminal_table import print_table
    from strokereg.core.study import compare as study
    from strokereg.core.study.file import describe_study, read_study
    from strokereg.core.study.settings import merge, split_options

    kept = read_study(file) if file else {}
    example = (given["models"] or kept.get("models") or ("pix2pix",))[0]
    flags = {
        "options": split_options(dict(options), example),
        "budgets": None if patience is None else {"segmenter": {"patience": patience}},
        "spacing": None if spacing is None else (spacing,) * 3,
        "all_for_synthesis": all_for_synthesis or None,
        "mixed_only": mixed_only or None,
        "flips": flips or None,
        "deterministic": deterministic or None,
    }
    asked = merge(kept, given, flags)
    asked.setdefault("models", ("pix2pix", "spade") if asked.get("preset") == "smoke" else ())
    asked |= {"steps": dict(steps), "batch_sizes": dict(batches)}
    if print_study:
        click.echo(describe_study(**asked), nl=False)
        return
    asked["out"] = out or study.OUT
    with StudyProgress(Console(stderr=True)) as progress:
        run = study.RunOptions(
            external=asked.pop("external", None),
            fold=fold,
            same_as=same_as,
            store=store,
            executor=executor,
            workers=workers,
            step_limit=step_limit or study.STEP_LIMIT,
            track=track,
            convention=convention,
            callbacks=progress,
            on_warning=lambda sentence: progress.console.print(escape(sentence)),
            command=shlex.join(["strokereg", *sys.argv[1:]]),
        )
        if dry_run:
            from strokereg.cli.output.estimate import print_estimate

            found = study.estimate(**asked, run=run)
        else:
            finished = study.compare(**asked, run=run)
    if dry_run:
        print_estimate(found, as_json)
    elif as_json:
        click.echo(finished.json.read_text(encoding="utf-8"))
    else:
        print_table(finished.results)
        click.echo(f"\nReport: {finished.report}")
    if same_as is not None and not dry_run:
        _check_same(finished, same_as)


def _check_same(finished: Finished, same_as: Path) -> None:
    """List the values that differ.

    Raises:
        RunFailed: there are some.
    """
    if not finished.changes:
        click.echo(f"Every number is that of {same_as}.", err=True)
        return
    for change in finished.changes[:_LISTED]:
        click.echo(change, err=True)
    raise RunFailed(
        f"{finished.json}: {counted(len(finished.changes), 'value')} not as in {same_as}; use the versions of the "
        "requirements.txt beside it, and a processor of the same kind"
    )
