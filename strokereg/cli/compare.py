"""`strokereg compare`: the study."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from strokereg.cli.values import (
    Cases,
    Names,
    Numbers,
    Pairs,
    Seeds,
    Shares,
    image_options,
)
from strokereg.registry.errors import InputError


@click.command(epilog="Example: strokereg compare --models pix2pix,spade --data cohorts/soop60 --preset quick")
@click.option("--study", "file", type=click.Path(path_type=Path), help="Study file (TOML); other options go above it.")
@click.option("--models", type=Names(), help="Translators and mixers: pix2pix,carvemix.")
@click.option("--data", type=click.Path(path_type=Path), help="Cohort folder.  [default: a simulated one, made once]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the study.  [default: strokereg-study]")
@click.option("--store", type=click.Path(path_type=Path), help="Folder of the runs.  [default: runs in --out]")
@click.option("--preset", help="Budget: smoke, quick or full.  [default: quick]")
@click.option("--cases", type=Cases(), help="Numbers of clinical training cases: 10,50,all.")
@click.option("--seeds", type=Seeds(), help="How many seeds, or the seeds themselves: 3 or 0,1,2.")
@click.option("--share", "shares", type=Shares(), help="Synthetic part of each mixed batch: 0.5 or 0.25,0.5.")
@click.option("--mixed-only", is_flag=True, help="No arms that are trained on synthetic images alone.")
@click.option("--synthetic-cases", type=click.IntRange(1), help="Size of each synthetic database.")
@click.option("--anatomies", type=click.Path(path_type=Path), help="Folder of public FreeSurfer-coded label maps.")
@click.option("--mask-library", type=click.Path(path_type=Path), help="Folder of public lesion masks in MNI space.")
@click.option("--fold", type=int, help="Of a cross-validation, from 1; give each its own --out.  [default: split.tsv]")
@click.option("--external", type=click.Path(path_type=Path), help="Cohort of another origin to evaluate on as well.")
@click.option("--steps", type=Pairs(), multiple=True, help="Optimiser steps of a role: --steps segmenter=2000.")
@click.option("--batch-size", "batches", type=Pairs(), multiple=True, help="Samples a step of a role: segmenter=16.")
@click.option("--set", "options", type=Pairs(), multiple=True, help="Option of a model: --set pix2pix.lr=1e-4.")
@click.option("--channels", type=Names(), help="Image contrasts: dwi or dwi,adc.")
@click.option("--spacing", type=float, help="Network grid in mm.  [default: the preset's]")
@click.option("--dims", type=click.IntRange(2, 3), help="Axial slices or volumes.  [default: 2]")
@image_options
@click.option("--patch", type=Numbers(), help="Network size in voxels: 64,64,64.  [default: the whole brain]")
@click.option("--segmenter", "segmenters", type=Names(), help="Who is trained on the arms.  [default: unet]")
@click.option("--generator", "generators", type=Names(), help="Who makes the lesion masks.  [default: mask-gan]")
@click.option("--headroom/--no-headroom", default=None, help="Train clinical only on all cases too.")
@click.option(
    "--fresh-translators/--shared-translators", default=None, help="Train them anew for every seed, or once for all."
)
@click.option(
    "--all-for-synthesis", is_flag=True, help="Generator and translators see all training cases, as in the paper."
)
@click.option("--flips", is_flag=True, help="Evaluate on the mean with the mirror image, at twice the time.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core, one on a GPU]")
@click.option(
    "--step-limit", type=click.IntRange(10), help="Seconds without a step until a task counts as hung.  [default: 3600]"
)
@click.option("--executor", default="local", show_default=True, help="local, or dask://host:port of a scheduler.")
@click.option("--threads", type=click.IntRange(1), help="Of each process; part of the study.  [default: 1]")
@click.option("--device", help="auto, cpu, cuda or mps.")
@click.option("--precision", help="auto, fp32, bf16 or fp16.")
@click.option("--track", type=Names(), default=(), help="Tell experiment trackers: tensorboard, mlflow.")
@click.option("--print-study", is_flag=True, help="Print the study file of what would run, and run nothing.")
@click.option("--dry-run", is_flag=True, help="Print arms, what is done, and about how long the rest takes.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json on stdout instead of the table.")
def compare(
    file: Path | None,
    out: Path | None,
    store: Path | None,
    fold: int | None,
    steps: tuple[tuple[str, str], ...],
    batches: tuple[tuple[str, str], ...],
    options: tuple[tuple[str, str], ...],
    spacing: float | None,
    all_for_synthesis: bool,
    mixed_only: bool,
    flips: bool,
    workers: int | None,
    executor: str,
    step_limit: int | None,
    track: tuple[str, ...],
    print_study: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a segmenter with and without synthetic images, evaluate all on the same test cases, print the table.

    Interrupted and called again, it goes on where it stopped. Without --data it simulates a cohort: its numbers
    are not clinical ones.
    """
    from rich.console import Console
    from rich.markup import escape

    from strokereg.cli.progress import StudyProgress
    from strokereg.core.report.table import print_table
    from strokereg.core.study import compare
    from strokereg.core.study.compare import OUT, split_options
    from strokereg.core.study.file import merge

    kept = compare.read_study(file) if file else {}
    example = (given["models"] or kept.get("models") or ("pix2pix",))[0]
    flags = {
        "options": split_options(dict(options), example),
        "spacing": None if spacing is None else (spacing,) * 3,
        "all_for_synthesis": all_for_synthesis or None,
        "mixed_only": mixed_only or None,
        "flips": flips or None,
    }
    asked = merge(kept, given, flags)
    if "models" not in asked:
        raise InputError("--models: say what to compare, for example --models pix2pix,spade, here or in --study FILE")
    asked |= {"steps": dict(steps), "batch_sizes": dict(batches)}
    if print_study:
        click.echo(compare.describe(**asked), nl=False)
        return
    if dry_run:
        from strokereg.cli.estimate import print_estimate

        with StudyProgress(Console(stderr=True)) as progress:
            found = compare.estimate(
                **asked, out=out or OUT, workers=workers, callbacks=progress, store=store, fold=fold
            )
        print_estimate(found, as_json)
        return
    with StudyProgress(Console(stderr=True)) as progress:
        command = shlex.join(["strokereg", *sys.argv[1:]])
        finished = compare.compare(
            **asked,
            out=out or OUT,
            workers=workers,
            callbacks=progress,
            command=command,
            store=store,
            executor=executor,
            fold=fold,
            step_limit=step_limit,
            track=track,
            on_warning=lambda sentence: progress.console.print(escape(sentence)),
        )
    if as_json:
        click.echo(finished.json.read_text(encoding="utf-8"))
        return
    print_table(finished.results)
    click.echo(f"\nReport: {finished.report}")
