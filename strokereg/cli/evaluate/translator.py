"""`strokereg evaluate translator`: compare translated images with real scans."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from strokereg.cli.values import Names, Numbers, Pairs, convention_option, goes_on
from strokereg.core.scan.view import Convention

if TYPE_CHECKING:
    from rich.table import Table

    from strokereg.core.evaluate.image_quality import Interval
    from strokereg.core.study.translators import TranslatorEvaluation


@click.command(
    epilog="Example: strokereg evaluate translator --data cohorts/soop60 --models pix2pix,spade --steps 1000"
)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Cohort folder.")
@click.option("--models", type=Names(), help="Translators, comma separated.  [default: all that fit]")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder.  [default: strokereg-images]")
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps of each translator.  [default: the preset's]")
@click.option("--batch-size", type=click.IntRange(1), help="Samples per step of each network.  [default: the preset's]")
@click.option("--preset", default="quick", show_default=True, help="Budget: smoke, quick or full.")
@click.option("--dims", type=click.IntRange(2, 3), default=2, show_default=True, help="2 for slices, 3 for volumes.")
@click.option("--patch", type=Numbers(), help="Patch size in voxels: 64,64,64.  [default: the whole brain]")
@click.option("--spacing", type=float, help="Voxel size of the network grid in mm.  [default: the preset's]")
@click.option("--channels", type=Names(), help="Image contrasts: dwi,adc or FLAIR.  [default: dwi, or the only one]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all random numbers.")
@click.option("--set", "options", type=Pairs(), multiple=True, help="Option of a model: --set pix2pix.lr=1e-4.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes.  [default: one per core, one on a GPU]")
@click.option("--device", help="auto, cpu, cuda or mps.")
@click.option("--precision", help="auto, fp32, bf16 or fp16.")
@convention_option
@click.option("--json", "as_json", is_flag=True, help="Print evaluation.json on stdout instead of the table.")
@goes_on
def translator(
    data: Path,
    models: tuple[str, ...] | None,
    out: Path | None,
    steps: int | None,
    batch_size: int | None,
    preset: str,
    spacing: float | None,
    seed: int,
    options: tuple[tuple[str, str], ...],
    workers: int | None,
    convention: Convention,
    as_json: bool,
    **changes: object,
) -> None:
    """Train translators for the same number of steps and compare their images with real scans of held-out cases.

    SSIM and PSNR compare each image with the real one. Fréchet and kernel distance, precision and recall use features
    of a segmenter trained on the same cases. Lesion contrast is shown too. An interrupted evaluation resumes where it
    stopped.
    """
    from rich.console import Console

    from strokereg.cli.output.progress import StudyProgress
    from strokereg.core.study.compare import RunOptions
    from strokereg.core.study.settings import split_options
    from strokereg.core.study.translators import OUT, evaluate_translators

    console, folder = Console(stderr=True), out or OUT
    with StudyProgress(console) as progress:
        evaluated = evaluate_translators(
            data,
            models or (),
            folder,
            preset,
            RunOptions(
                workers=workers,
                callbacks=progress,
                command=shlex.join(["strokereg", *sys.argv[1:]]),
                convention=convention,
            ),
            steps={"translator": steps} if steps else {},
            batch_sizes=dict.fromkeys(("translator", "segmenter"), batch_size) if batch_size else {},
            options=split_options(dict(options), (models or ("pix2pix",))[0]),
            spacing=None if spacing is None else (spacing,) * 3,
            seeds=(seed,),
            **changes,
        )
    if as_json:
        click.echo((folder / "evaluation.json").read_text(encoding="utf-8"))
        return
    shown = Console(highlight=False)
    shown.print(_table(evaluated))
    for name, reason in evaluated.failures.items():
        click.echo(f"{name} failed: {reason}")
    click.echo(
        f"\nThe second line of each cell is a 95 % interval over {len(evaluated.held_out)} held-out cases. "
        f"PSNR in dB; the lesion contrast of the real images is {evaluated.truth.value:.2f}."
    )
    if evaluated.simulated:
        click.echo("Simulated cohort: these are not clinical numbers.")
    click.echo(f"\nPictures: {folder / 'sheet.png'}")


def _table(evaluated: TranslatorEvaluation) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("translator", no_wrap=True)
    for heading in ("SSIM ↑", "PSNR ↑", "Fréchet ↓", "kernel ↓", "preci-\nsion ↑", "recall ↑", "lesion\ncontrast"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [("other real cases", evaluated.others)]
    rows += [(translator.model, translator.image_quality) for translator in evaluated.translators]
    for name, quality in rows:
        table.add_row(
            name,
            _cell(quality.ssim, 2),
            _cell(quality.psnr, 1),
            _cell(quality.frechet, 1),
            _cell(quality.kernel, 2),
            f"{quality.precision:.2f}",
            f"{quality.recall:.2f}",
            _cell(quality.contrast, 2),
        )
    return table


def _cell(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return "–"
    return f"{interval.value:.{digits}f}\n{interval.low:.{digits}f}–{interval.high:.{digits}f}"
