"""Atomic files: they are complete or they do not exist."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from strokereg.core.storage.paths import check_path
from strokereg.registry.errors import FileFault, InputError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to. It replaces `path` if the block succeeds, and is removed otherwise.

    The temporary file is in the same folder, has the same ending (some writers choose the format by it), and belongs to
    this thread.

    Raises:
        InputError: Windows cannot write the path.
    """
    check_path(path)
    temporary = path.with_name(f".{os.getpid()}-{threading.get_ident()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def own_file(folder: Path, name: str) -> Path:
    """Path of a file in a run folder that may come from someone else.

    Raises:
        InputError: the file is a link to a place outside the folder.
    """
    path = folder / name
    if path.resolve().parent != folder.resolve():
        raise InputError(f"{path}: is a link that leads out of the run folder; put the file itself there")
    return path


def keep_foreign(
    paths: Iterable[Path],
    ours: Callable[[Path], bool] = lambda path: False,
    fix: str = "move it, or choose another --out",
) -> None:
    """Refuse to write where a file lies that strokereg did not write itself. Every command calls this before it works.

    Args:
        paths: what is about to be written.
        ours: True for an earlier output, which may be replaced.

    Raises:
        InputError: names the first file that is in the way; links count, wherever they lead.
    """
    for path in paths:
        if os.path.lexists(path) and not ours(path):
            raise InputError(f"{path}: exists and is not an unchanged output of strokereg; {fix}")


def in_own_folder(marker: str, *keys: str) -> Callable[[Path], bool]:
    """For `keep_foreign`: a file is ours if the JSON `marker` beside it is, which has these keys."""

    def ours(path: Path) -> bool:
        try:
            content = read_json(path.parent / marker)
        except (OSError, ValueError):
            return False
        return isinstance(content, dict) and all(key in content for key in keys)

    return ours


def make_folder(folder: Path) -> Path:
    """Make an output folder and its parents, unless it exists.

    Raises:
        InputError: the folder cannot be made, for instance because a file has its name.
    """
    check_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: no folder can be made there ({error.strerror}); choose another --out") from error
    return folder


def copy_or_link(source: Path, target: Path, link: bool) -> None:
    """Copy a file, or link it: a hard link, or a symbolic one to another file system.

    Raises:
        FileFault: the source cannot be copied.
        OSError: the disk is full.
    """
    try:
        if not link:
            shutil.copyfile(source, target)
            return
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without hard links
            target.symlink_to(source)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise FileFault(source, f"cannot be copied ({error.strerror})", "check its permissions") from error


def parse_json(text: str) -> Any:
    """Parse JSON.

    Raises:
        ValueError: not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_json(path: Path) -> Any:
    """Read a JSON file, which may begin with a byte order mark.

    Raises:
        OSError: it cannot be read.
        ValueError: not JSON or not UTF-8, or nested too deeply.
    """
    return parse_json(path.read_text(encoding="utf-8-sig"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
