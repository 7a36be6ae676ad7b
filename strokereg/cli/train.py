"""`strokereg train`: train one architecture of any role."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from strokereg.cli.values import Names, Pairs, Start, goes_on, image_options
from strokereg.core.scan import DEFAULT_SPACING
from strokereg.registry.errors import InputError


@click.command(epilog="Example: strokereg train unet --data cohorts/soop60 --steps 2000 --set lr=5e-4")
@click.argument("name")
@click.option("--data", type=click.Path(path_type=Path), help="Cohort folder.")
@click.option("--simulate", is_flag=True, help="Train on cases that are simulated meanwhile; no --data is needed.")
@click.option("--labels", type=click.Path(path_type=Path), help="With --simulate: see 'strokereg data simulate'.")
@click.option("--lesions", type=click.Path(path_type=Path), help="With --simulate: see 'strokereg data simulate'.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/NAME]")
@click.option("--set", "options", type=Pairs(), multiple=True, help="Option of the architecture: --set lr=1e-4.")
@click.option("--steps", type=int, help="Optimiser steps.  [default: 1000]")
@click.option("--batch-size", type=int, help="Samples in each step.  [default: 16]")
@click.option(
    "--from", "start", type=Start(), help="Run, exported file or bundle whose weights the training starts from."
)
@click.option(
    "--adapt", is_flag=True, help="With --from: accept other channels or labels; layers that differ start anew."
)
@click.option("--cases", type=int, help="Use only the first training cases of the split.  [default: all]")
@click.option("--fold", type=int, help="Fold of a cross-validation, from 1.  [default: split.tsv]")
@click.option("--seed", type=int, help="Seed of all random numbers.  [default: 0]")
@click.option("--channels", type=Names(), help="Image contrasts: dwi,adc or FLAIR.  [default: dwi, or the only one]")
@click.option(
    "--spacing", type=float, default=DEFAULT_SPACING[0], show_default=True, help="Voxel size of the network grid in mm."
)
@click.option(
    "--dims", type=click.IntRange(2, 3), default=2, show_default=True, help="2 for axial slices, 3 for volumes."
)
@image_options
@click.option("--flips", is_flag=True, help="Average a segmenter over image and mirror image; takes twice the time.")
@click.option("--device", help="auto, cpu, cuda, cuda:N or mps.  [default: auto]")
@click.option("--precision", help="auto, fp32, tf32, bf16 or fp16.  [default: auto]")
@click.option("--deterministic", is_flag=True, help="Deterministic algorithms only; slower on a GPU.")
@click.option("--threads", type=int, help="Torch threads (affects results on a CPU).  [default: 1]")
@click.option("--patience", type=click.IntRange(0), help="Stop after so many validations without a gain.")
@click.option("--augment", type=Pairs(), multiple=True, help="Change the augmentation: --augment motion=0.1.")
@click.option("--workers", type=click.IntRange(min=0), default=1, show_default=True, help="Threads that load batches.")
@click.option("--compile", is_flag=True, help="Use torch.compile.")
@click.option("--track", type=Names(), default=(), help="Log to experiment trackers: tensorboard, mlflow.")
@click.option("--json", "as_json", is_flag=True, help="Print the record of the run as JSON.")
@goes_on
def train(
    name: str,
    data: Path | None,
    out: Path | None,
    simulate: bool,
    labels: Path | None,
    lesions: Path | None,
    flips: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train one architecture on the training cases of a cohort, or on simulated ones.

    NAME is what 'strokereg models' lists. Run the same command again to resume an interrupted training, or with more
    --steps to go on with a finished one. Under torchrun, several processes train together and share each batch.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import TimeRemainingColumn

    from strokereg.cli.output.progress import bars_with_losses
    from strokereg.core.train.dataset import DatasetSettings
    from strokereg.core.train.trainer import TrainerSettings
    from strokereg.core.train.training import TrainingCallbacks, TrainingSettings
    from strokereg.core.train.training import train as run_training
    from strokereg.registry.options import parse

    if simulate == (data is not None):
        raise InputError("train: exactly one of --data and --simulate is needed; name a cohort, or simulate the cases")
    if not simulate and (labels or lesions):
        raise InputError(f"{'--labels' if labels else '--lesions'}: belongs to --simulate; add that or leave it out")
    given["augment"], given["spacing"] = dict(given["augment"]), (given["spacing"],) * 3
    given = {key: value for key, value in given.items() if value is not None}
    trainer = parse(TrainerSettings, _part(given, TrainerSettings), "train")
    settings = TrainingSettings(
        options=dict(given["options"]),
        dataset=DatasetSettings(**_part(given, DatasetSettings)),
        trainer=trainer,
        cases=given.get("cases"),
        start=given.get("start"),
        adapt=given["adapt"],
        fold=given.get("fold"),
        flips=flips,
        workers=given["workers"],
        track=given["track"],
    )
    is_main = os.environ.get("RANK", "0") == "0"
    console = Console(stderr=True, quiet=not is_main)
    with bars_with_losses(console, TimeRemainingColumn) as progress:
        bar = progress.add_task(f"preparing {data.name if data else 'simulated cases'}", total=None, losses="")

        latest: dict[str, float] = {}  # keeps the validation Dice between evaluations

        def on_step(step: int, losses: dict[str, float]) -> None:
            latest.update(losses)
            text = "  ".join(f"{key} {value:.3g}" for key, value in latest.items())
            progress.update(bar, description=f"training {name}", completed=step, total=trainer.steps, losses=text)

        callbacks = TrainingCallbacks(
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
            on_step=on_step,
            on_warning=lambda sentence: console.print(escape(sentence)),
        )
        if data is not None:
            folder, record = run_training(name, data, out, settings, callbacks)
        else:
            from strokereg.core.synthesis.simulated import SimulatedSource, train_simulated

            spacing = settings.dataset.spacing[0]
            source = SimulatedSource.at_spacing(spacing, labels=labels, lesions=lesions, seed=trainer.seed)
            folder, record = train_simulated(name, source, out, settings, callbacks)
    if not is_main:
        return
    if as_json:
        click.echo(json.dumps(record.model_dump(mode="json")))
        return
    if record.postprocessing is not None:
        rule = record.postprocessing
        step = "" if record.chosen_step is None else f"weights of step {record.chosen_step:,}, "
        console.print(
            f"validation Dice {record.validation_dice:.3f}: {step}threshold {rule.threshold:g}, "
            f"lesions from {rule.smallest_ml:g} ml (chosen on the validation cases)"
        )
    click.echo(str(folder))


def _part(given: dict[str, Any], settings: type) -> dict[str, Any]:
    """The given values that are fields of these settings."""
    return {key: value for key, value in given.items() if key in settings.model_fields}  # type: ignore[attr-defined]
