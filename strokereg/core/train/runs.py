"""Run folders: one trained network with all that is needed to know, resume and rebuild it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors.torch import save
from torch import nn

from strokereg.core.roles import Batch
from strokereg.core.storage.files import make_folder, own_file, replacing
from strokereg.core.train.device import choose_device, choose_precision, seed_everything
from strokereg.core.train.distributed import ProcessGroup, join_process_group
from strokereg.core.train.record import CHECKPOINT, HISTORY, RECORD, WEIGHTS, Record
from strokereg.core.train.trainer import OnStep, Trainer, TrainerSettings
from strokereg.core.train.weights import load_weights
from strokereg.registry.catalogue import build
from strokereg.registry.errors import InputError

Draw = Callable[[int, torch.device, float], Batch]

_FIRST_WEIGHTS = 2**32 - 1  # stands where the step stands in later seeds


def train_run(folder: Path, record: Record, draw: Draw, on_step: OnStep = lambda step, losses: None) -> nn.Module:
    """Train into a folder, go on where an earlier call stopped, or load what is finished.

    Args:
        folder: made when missing.
        record: what to train; `record.trainer` holds the trainer's settings.
        draw: makes the batch of a step.

    Returns:
        The trained network in eval mode.

    Raises:
        InputError: the folder holds another run, or links out of itself, or another process trains in it.
        RunFailed: a loss became NaN or infinite.
    """
    # Wrong options or an absent device show before anything is written.
    settings = TrainerSettings.model_validate(record.trainer)
    choose_precision(settings.precision, choose_device(settings.device))
    seed_everything(settings.seed, _FIRST_WEIGHTS)
    for name in (RECORD, HISTORY):
        own_file(folder, name)
    begun = any(own_file(folder, name).is_file() for name in (WEIGHTS, CHECKPOINT))
    model = build(record.architecture, record.problem, _rebuilt(record.options) if begun else record.options)
    make_folder(folder)
    group = join_process_group()
    if not group.is_main:
        return _follow(folder, model, record, draw, settings, group)
    lock = FileLock(folder / ".lock", timeout=5)
    try:
        with lock:
            if (folder / RECORD).is_file():
                before = Record.read(folder)
                if _identity(before) != _identity(record):
                    raise InputError(
                        f"{folder}: holds another run of {before.architecture} (other code, options, data "
                        "or settings); choose another --out or remove it"
                    )
                if before.done:
                    group.wait()
                    return load_model(folder)[1]
            record = record.model_copy(update={"versions": versions(), "done": False})
            record.write(folder)
            group.wait()
            model = Trainer(model, record.architecture, draw, settings, folder, on_step).fit()
            weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
            # Written by Python and not by safetensors, whose files no one else on a cluster may read.
            with replacing(folder / WEIGHTS) as temporary:
                temporary.write_bytes(save(weights))
            record.model_copy(update={"done": True}).write(folder)
            (folder / CHECKPOINT).unlink(missing_ok=True)
            group.wait()
            return model
    except Timeout as error:
        raise InputError(f"{folder}: another process is training in it; wait for it or choose another --out") from error


def _follow(
    folder: Path,
    model: nn.Module,
    record: Record,
    draw: Draw,
    settings: TrainerSettings,
    group: ProcessGroup,
) -> nn.Module:
    """What all but the first of several processes do: train with it and write nothing."""
    group.wait()  # until it has looked into the folder
    if Record.read(folder).done:
        return load_model(folder)[1]
    model = Trainer(model, record.architecture, draw, settings, folder).fit()
    group.wait()
    return model


def load_model(folder: Path) -> tuple[Record, nn.Module]:
    """Rebuild a finished run's network on the CPU, in eval mode; reads data only, runs no code of the folder.

    Raises:
        InputError: not a run folder, an unfinished run, or weights that do not fit the architecture.
    """
    record = Record.read(folder)
    if not record.done:
        raise InputError(f"{folder}: the run is not finished; call the same 'strokereg train' again to go on")
    model = build(record.architecture, record.problem, _rebuilt(record.options))
    load_weights(model, folder)
    return record, model.eval()


def _rebuilt(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for a network whose weights lie in the run folder: `pretrained` speaks of first weights only.

    Without it nothing is downloaded to be overwritten at once, and a run can be loaded where there is no net.
    """
    return {name: value for name, value in options.items() if name != "pretrained"}


def versions() -> dict[str, str]:
    """Versions of what ran."""
    return {"python": platform.python_version(), "torch": torch.__version__, "strokereg": version("strokereg")}


def _identity(record: Record) -> dict[str, Any]:
    """What makes two runs the same training; not what came out of it, nor where the cohort lies."""
    return record.model_dump(
        mode="json",
        exclude={
            "done": True,
            "postprocessing": True,
            "versions": True,
            "validation": True,
            "cohort": {"path", "name"},
        },
    )
