"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from strokereg.registry.errors import InputError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it takes the place of `path` when the block ends well, and goes otherwise.

    The name keeps the ending, by which some writers choose the format, and is this thread's own.
    """
    temporary = path.with_name(f".{os.getpid()}-{threading.get_ident()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def own_file(folder: Path, name: str) -> Path:
    """A file of a run folder, which may come from a stranger.

    Raises:
        InputError: a link that leads out of the folder: what it names is not part of the run.
    """
    path = folder / name
    if path.resolve().parent != folder.resolve():
        raise InputError(f"{path}: is a link that leads out of the run folder; put the file itself there")
    return path


def make_folder(folder: Path) -> Path:
    """Make a folder for output, with its parents; one that is there already is fine.

    Raises:
        InputError: a file stands in its place, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: no folder can be made there ({error.strerror}); choose another --out") from error
    return folder


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=False) + "\n", encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
