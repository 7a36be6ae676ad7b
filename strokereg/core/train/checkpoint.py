"""Checkpoints: any tree of tensors and plain values in one safetensors file. Nothing is unpickled.

Tensors are stored under their path in the tree; the tree itself is JSON in the file's metadata. The file is written
under a temporary name and renamed, so a crash never leaves a damaged checkpoint. The one before it is kept, in case the
disk damages the last.
"""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from strokereg.core.storage.files import replacing
from strokereg.core.train.record import PREVIOUS
from strokereg.registry.errors import InputError, OutputFailed, first_line

log = logging.getLogger(__name__)

_TENSOR = "tensor:"  # prefix of strings that stand for tensors in the JSON


class BackgroundWriter:
    """Writes checkpoints in a thread, one at a time: nested dicts and lists of tensors, numbers, strings and None.

    Used as a context, it waits for the last one at the end.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None

    def save(self, path: Path, tree: Any) -> None:
        """Copy a tree now and write it while the caller goes on; waits for an earlier one.

        The checkpoint that is at `path` is kept under the name `PREVIOUS`.

        Raises:
            OutputFailed: an earlier tree could not be written; the checkpoints before it are kept.
        """
        copied = _copied(tree)
        self.wait()
        self._writing = self._thread.submit(_write_and_keep, path, *copied)

    def wait(self) -> None:
        """Wait until the last tree is on disk.

        Raises:
            OutputFailed: it could not be written, for example because the disk is full.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def __enter__(self) -> BackgroundWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._thread.shutdown(wait=True)
        if kind is None:  # an error of its own must not hide another one
            self.wait()


def _copied(tree: Any) -> tuple[str, dict[str, torch.Tensor]]:
    tensors: dict[str, torch.Tensor] = {}
    return json.dumps(_split(tree, "", tensors)), tensors


def _write(path: Path, plain: str, tensors: dict[str, torch.Tensor]) -> None:
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"tree": plain})
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # or a power failure could leave the new name with nothing in it


def _write_and_keep(path: Path, plain: str, tensors: dict[str, torch.Tensor]) -> None:
    try:
        with replacing(path) as temporary:
            _write(temporary, plain, tensors)
            if path.is_file():
                os.replace(path, path.with_name(PREVIOUS))
    except (SafetensorError, OSError) as error:
        raise OutputFailed(
            f"{path}: cannot be written ({first_line(error)}); make room and run the same command again, which goes on "
            "from the checkpoint before"
        ) from error


def load_checkpoint(path: Path) -> Any:
    """Read the last undamaged checkpoint, and log a warning where it is not the last one.

    Returns:
        What `BackgroundWriter` wrote, on the CPU; None if there is no checkpoint or all are damaged.
    """
    previous = path.with_name(PREVIOUS)
    for place in (path, previous):
        if not place.is_file():
            continue
        try:
            return load_tree(place)
        except InputError:
            then = "goes on from the checkpoint before it" if place == path and previous.is_file() else "starts again"
            log.warning("%s: is damaged, so the training %s", place, then)
    return None


def is_complete(path: Path) -> bool:
    """True for a safetensors file that is there and not cut short."""
    try:
        with safe_open(path, framework="pt"):
            return True
    except (SafetensorError, OSError):
        return False


def load_tree(path: Path) -> Any:
    """Read what `BackgroundWriter` wrote; tensors are on the CPU.

    Raises:
        InputError: a missing or damaged file, or one of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            return _join(json.loads((file.metadata() or {})["tree"]), tensors)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; give the folder of a finished run") from error
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise InputError(f"{path}: damaged or not a strokereg file ({error}); train again") from error


def _split(tree: Any, where: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(tree, torch.Tensor):
        # Always a copy, and never on a GPU, whose memory it would take.
        tensors[where] = tree.detach().to("cpu", copy=True).contiguous()
        return _TENSOR + where
    if isinstance(tree, dict):
        # JSON has string keys only, but optimisers number their parameters.
        return {
            "dict": [
                [key if isinstance(key, (str, int)) else str(key), _split(value, f"{where}/{key}", tensors)]
                for key, value in tree.items()
            ]
        }
    if isinstance(tree, (list, tuple)):
        return {"list": [_split(value, f"{where}/{i}", tensors) for i, value in enumerate(tree)]}
    return tree


def _join(plain: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(plain, str) and plain.startswith(_TENSOR):
        return tensors[plain.removeprefix(_TENSOR)]
    if isinstance(plain, dict) and "dict" in plain:
        return {key: _join(value, tensors) for key, value in plain["dict"]}
    if isinstance(plain, dict):
        return [_join(value, tensors) for value in plain["list"]]
    return plain
