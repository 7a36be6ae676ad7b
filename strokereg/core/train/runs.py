"""Run folders: one trained network with everything needed to resume, identify and rebuild it.

Reading a run folder runs no code from it: weights are read without pickle, and the network is built by the registry.
"""

from __future__ import annotations

import contextlib
import logging
import platform
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from strokereg.core.roles import Batch, delivered_weights
from strokereg.core.storage.cache import sha256_of
from strokereg.core.storage.files import keep_foreign, make_folder, own_file, replacing
from strokereg.core.train.checkpoint import is_complete
from strokereg.core.train.device import choose_device, choose_precision, describe_hardware, seed_everything
from strokereg.core.train.distributed import ProcessGroup, join_process_group
from strokereg.core.train.record import CHECKPOINT, HISTORY, PREVIOUS, RECORD, WEIGHTS, Record, Start, differences
from strokereg.core.train.start import DIGITS
from strokereg.core.train.trainer import OnStep, Trainer, TrainerSettings
from strokereg.core.train.validation import Validator
from strokereg.registry.catalogue import build
from strokereg.registry.errors import InputError, OutputFailed, command

log = logging.getLogger(__name__)

Draw = Callable[[int, torch.device, float], Batch]

_AGAIN = "remove its folder and train the run again with the same command"
_FIRST_WEIGHTS = 2**32 - 1  # takes the place of the step in the seed of the first weights


def train_run(
    folder: Path,
    record: Record,
    draw: Draw,
    on_step: OnStep = lambda step, losses: None,
    validator: Validator | None = None,
    keep_checkpoint: bool = False,
) -> nn.Module:
    """Train into a run folder. An interrupted run is resumed; a finished run is loaded.

    If only the number of steps differs from that of the run in the folder, and is larger, its training goes on from
    its checkpoint.

    Args:
        folder: created if missing.
        record: what to train; `record.trainer` holds the trainer's settings.
        draw: `(step, device, progress) -> Batch`.
        on_step: see `Trainer`.
        validator: of a segmenter; its best averaged weights are then delivered.
        keep_checkpoint: of a finished run, so that more steps can be added later; it takes a few times the disk of the
            weights.

    Returns:
        The trained network in eval mode, on the device of the training.

    Raises:
        InputError: the folder holds another run, contains a link that leads out of it, or is in use by another process.
        RunFailed: a loss became NaN or infinite.
        OutputFailed: a checkpoint or the weights cannot be written, for example because the disk is full.
    """
    # Fail on wrong options or a missing device before anything is written.
    settings = TrainerSettings.model_validate(record.trainer)
    choose_precision(settings.precision, choose_device(settings.device))
    seed_everything(settings.seed, _FIRST_WEIGHTS)
    for name in (RECORD, HISTORY):
        own_file(folder, name)
    states = [own_file(folder, name) for name in (WEIGHTS, CHECKPOINT, PREVIOUS)]
    keep_foreign([*states, folder / HISTORY], lambda path: (folder / RECORD).is_file())
    begun = any(map(is_complete, states))
    known = begun or record.start is not None
    model = build(record.architecture, record.problem, _rebuilt(record.options) if known else record.options)
    if record.start and not begun:
        load_start(model, record.start)
    make_folder(folder)
    group = join_process_group(settings.device)
    if not group.is_main:
        return _train_without_writing(
            folder, Trainer(model, record.architecture, draw, settings, folder, validator=validator), group
        )
    lock = FileLock(folder / ".lock", timeout=5)
    try:
        with lock:
            if (folder / RECORD).is_file():
                before = Record.read(folder)
                record = _continued(folder, before, record)
                finished = before.done and before.trainer.get("steps") == settings.steps
                if finished and (trained := _trained(folder)) is not None:
                    group.wait()
                    return trained.to(choose_device(settings.device))
            about = {"versions": versions(), "hardware": describe_hardware(settings.device, settings.threads)}
            record = record.model_copy(update={**about, "done": False})
            record.write(folder)
            group.wait()
            trainer = Trainer(model, record.architecture, draw, settings, folder, on_step, validator)
            model = trainer.fit()
            weights = {name: value.detach().cpu().contiguous() for name, value in delivered_weights(model).items()}
            # Written by Python: files that safetensors writes are readable by their owner only.
            with _writing(folder / WEIGHTS) as temporary:
                temporary.write_bytes(save(weights))
            chosen = trainer.best.step if trainer.best else None
            record.model_copy(update={"done": True, "chosen_step": chosen}).write(folder)
            for name in (PREVIOUS,) if keep_checkpoint else (CHECKPOINT, PREVIOUS):
                (folder / name).unlink(missing_ok=True)
            group.wait()
            return model
    except Timeout as error:
        raise InputError(f"{folder}: another process is training in it; wait for it or choose another --out") from error


def _continued(folder: Path, before: Record, record: Record) -> Record:
    """The record of a training that goes on in the folder of an earlier one.

    Raises:
        InputError: the folder holds another run, or one that cannot be given more steps.
    """
    asked, planned = (int(one.trainer.get("steps", 0)) for one in (record, before))
    changes = differences(before, record)
    if not changes or (list(changes) == ["trainer.steps"] and asked > planned):
        if not changes:
            return record.model_copy(update={"earlier_steps": before.earlier_steps})
        if not any(is_complete(folder / name) for name in (CHECKPOINT, PREVIOUS)):
            start = command("strokereg", "train", before.architecture, "--from", folder)
            raise InputError(
                f"{folder}: was trained for {planned} steps and holds no checkpoint to go on from; "
                f"start from its weights in another folder: {start} …"
            )
        return record.model_copy(update={"earlier_steps": (*before.earlier_steps, planned)})
    said = "; ".join(changes.values())
    raise InputError(
        f"{folder}: holds another run of {before.architecture} ({said}); choose another --out or remove it"
    )


class DamagedWeights(InputError):
    """The weights of a run are missing or cannot be read."""


def _trained(folder: Path) -> nn.Module | None:
    """The network of a finished run; None, with a warning, if its weights are lost."""
    try:
        return load_model(folder)[1]
    except DamagedWeights as error:
        log.warning("%s: the run is trained again, because its weights are lost (%s)", folder, error)
        return None


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """As `replacing`, for the last file of a training."""
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise OutputFailed(
            f"{path}: cannot be written ({error.strerror}); make room and run the same command again, which goes on "
            "from the last checkpoint"
        ) from error


def _train_without_writing(folder: Path, trainer: Trainer, group: ProcessGroup) -> nn.Module:
    """Train along in a process that is not the main one."""
    group.wait()  # until the main process has read or written the record
    if Record.read(folder).done:
        return load_model(folder)[1].to(trainer.device)
    model = trainer.fit()
    group.wait()
    return model


def load_model(folder: Path) -> tuple[Record, nn.Module]:
    """Load the network of a finished run on the CPU, in eval mode, together with its record.

    Raises:
        InputError: not a run folder, an unfinished run, or weights that do not fit the architecture.
    """
    record = Record.read(folder)
    if not record.done:
        raise InputError(f"{folder}: the run is not finished; run the same 'strokereg train' again to resume it")
    model = build(record.architecture, record.problem, _rebuilt(record.options))
    load_weights(model, folder)
    return record, model.eval()


def load_weights(model: nn.Module, run: Path | str) -> None:
    """Load the weights of a run folder into `model`, if every name and shape fits.

    Raises:
        InputError: missing or damaged weights, a link that leads out of the folder, or weights of another network.
    """
    path = own_file(Path(run), WEIGHTS)
    if not path.is_file():
        raise DamagedWeights(f"{path}: no such file; {_AGAIN}")
    # Every name was compared, or left out on purpose.
    model.load_state_dict(_read_weights(model, path), strict=False)


def load_start(model: nn.Module, start: Start) -> None:
    """Load the weights that a training begins with.

    Raises:
        InputError: the weights have changed since `start` was read, are damaged, or do not fit; with `start.adapt`,
            shapes may differ, but not names, and at least half of the values must fit.
    """
    path = own_file(Path(start.path), WEIGHTS)
    if not path.is_file() or sha256_of(path)[:DIGITS] != start.weights:
        raise InputError(f"{path}: has changed or is gone since the training was planned; start it again")
    found = _read_weights(model, path, start.adapt)
    wanted = delivered_weights(model)
    if 2 * sum(value.numel() for value in found.values()) < sum(value.numel() for value in wanted.values()):
        raise InputError(f"{path}: fewer than half of its weights fit the network; use the options of that run")
    model.load_state_dict(found, strict=False)


def _read_weights(model: nn.Module, path: Path, skip_shapes: bool = False) -> dict[str, torch.Tensor]:
    """The weights of a file, all of which fit the network; with `skip_shapes` without those of another shape."""
    wanted = {name: tuple(tensor.shape) for name, tensor in delivered_weights(model).items()}
    try:
        with safe_open(path, framework="pt") as file:
            # Shapes are read from the header first, so weights that are too large are refused without being loaded.
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            for name in sorted(wanted.keys() | shapes.keys()):
                if skip_shapes and name in wanted and name in shapes:
                    continue
                if wanted.get(name) != shapes.get(name):
                    fault = f"{name} is {shapes.get(name, 'missing')} in the file"
                    raise InputError(
                        f"{path}: does not fit the network ({fault} and {wanted.get(name, 'missing')} in the network); "
                        "install the version that trained it"
                    )
            return {name: file.get_tensor(name) for name in shapes if shapes[name] == wanted[name]}
    except (SafetensorError, OSError, RuntimeError) as error:  # RuntimeError: the file is too large to be mapped
        raise DamagedWeights(f"{path}: damaged weights ({error}); {_AGAIN}") from error


def _rebuilt(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for a network whose weights are loaded from a run folder: without `pretrained`.

    So nothing is downloaded just to be overwritten, and a run can be loaded offline.
    """
    return {name: value for name, value in options.items() if name != "pretrained"}


def versions() -> dict[str, str]:
    """Versions of Python, torch and strokereg."""
    return {"python": platform.python_version(), "torch": torch.__version__, "strokereg": version("strokereg")}
