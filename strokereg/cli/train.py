"""`strokereg train`: one architecture of any role."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from strokereg.cli.values import Names, Pairs, image_options
from strokereg.core.scan import DEFAULT_SPACING


@click.command(epilog="Example: strokereg train unet --data cohorts/soop60 --steps 2000 --set lr=5e-4")
@click.argument("name")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Cohort folder.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/NAME]")
@click.option("--set", "options", type=Pairs(), multiple=True, help="Option of the architecture: --set lr=1e-4.")
@click.option("--steps", type=int, help="Optimiser steps.  [default: 1000]")
@click.option("--batch-size", type=int, help="Samples a step.  [default: 16]")
@click.option("--cases", type=int, help="Training cases, the first of the split.  [default: all]")
@click.option("--fold", type=int, help="Of a cross-validation, from 1.  [default: split.tsv]")
@click.option("--seed", type=int, help="Of everything random.  [default: 0]")
@click.option("--channels", type=Names(), default="dwi", show_default=True, help="Image contrasts: dwi or dwi,adc.")
@click.option("--spacing", type=float, default=DEFAULT_SPACING[0], show_default=True, help="Network grid in mm.")
@click.option("--dims", type=click.IntRange(2, 3), default=2, show_default=True, help="Slices or volumes.")
@image_options
@click.option(
    "--flips", is_flag=True, help="Evaluate a segmenter on the mean with the mirror image, at twice the time."
)
@click.option("--device", help="auto, cpu, cuda or mps.")
@click.option("--precision", help="auto, fp32, bf16 or fp16.")
@click.option("--threads", type=int, help="Of torch on a CPU.  [default: 1]")
@click.option("--augment", type=Pairs(), multiple=True, help="Change the augmentation: --augment motion=0.1.")
@click.option("--workers", type=click.IntRange(min=0), help="Threads that draw batches ahead.  [default: 1]")
@click.option("--compile", "compiled", is_flag=True, help="Run through torch.compile.")
@click.option("--track", type=Names(), default=(), help="Tell experiment trackers: tensorboard, mlflow.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's record on stdout.")
def train(
    name: str,
    data: Path,
    out: Path | None,
    options: tuple[tuple[str, str], ...],
    cases: int | None,
    fold: int | None,
    channels: tuple[str, ...],
    spacing: float,
    dims: int,
    interpolation: Literal["linear", "cubic"] | None,
    scaling: Literal["median", "zscore", "percentile"] | None,
    flips: bool,
    augment: tuple[tuple[str, str], ...],
    workers: int | None,
    compiled: bool,
    track: tuple[str, ...],
    as_json: bool,
    **settings: object,
) -> None:
    """Train one architecture on the training cases of a cohort; called again, it goes on where it stopped.

    Under torchrun several processes train it together and share each batch.
    """
    import os

    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from strokereg.core.train import training

    leads = os.environ.get("RANK", "0") == "0"
    console = Console(stderr=True, quiet=not leads)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    trainer = {key: value for key, value in settings.items() if value is not None} | {"compile": compiled}
    trainer["augment"] = dict(augment)
    with Progress(
        *columns, TextColumn("{task.fields[losses]}"), console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task(f"preparing {data.name}", total=None, losses="")

        def on_step(step: int, losses: dict[str, float]) -> None:
            told = "  ".join(f"{key} {value:.3g}" for key, value in losses.items())
            progress.update(
                bar, description=f"training {name}", completed=step, total=trainer.get("steps", 1000), losses=told
            )

        folder, record = training.train(
            name,
            data,
            out,
            options=dict(options),
            settings=trainer,
            cases=cases,
            fold=fold,
            channels=channels,
            spacing=(spacing,) * 3,
            dims=dims,
            interpolation=interpolation or "linear",
            scaling=scaling or "median",
            flips=flips,
            workers=1 if workers is None else workers,
            on_case=lambda case: progress.advance(bar),
            on_step=on_step,
            track=track,
            on_warning=lambda sentence: console.print(escape(sentence)),
        )
    if not leads:
        return
    if as_json:
        click.echo(json.dumps(record.model_dump(mode="json")))
        return
    if record.postprocessing is not None:
        postprocessing = record.postprocessing
        console.print(
            f"threshold {postprocessing.threshold:g}, lesions from {postprocessing.smallest_ml:g} ml (validation cases)"
        )
    click.echo(str(folder))
