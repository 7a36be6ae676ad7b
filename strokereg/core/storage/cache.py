"""A cache of small results: one JSON file for each, under the digest of the content it was computed from."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from strokereg.core.storage.files import write_text
from strokereg.registry.errors import FileFault, InputError

_SETTLED = 2.0  # seconds: coarser than the clock of any file system
_known: dict[tuple[object, ...], str] = {}  # digests that this process has used; each is needed several times


def digest(content: object) -> str:
    """SHA-256 of plain data, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def cached(folder: Path, key: str, make: Callable[[], Any]) -> Any:
    """Return the result under a key: read from the folder if it is there, else made and written to it.

    Args:
        folder: is made if it does not exist.
        key: at least 34 hexadecimal digits, see `digest`.
        make: computes the result, plain data for JSON.
    """
    place = folder / key[:2] / f"{key[2:34]}.json"
    try:
        return json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        result = make()
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, json.dumps(result))
        return result


def file_digest(path: Path, cache: Path) -> str:
    """SHA-256 of a file's bytes, which are read again only if the file may have changed.

    A file counts as unchanged while its path, size, inode, modification time and change time (ctime) are the same.
    Unlike the modification time, copying or unpacking cannot set the ctime back. A file that changed within the last
    seconds is not cached: a second change within one tick of the clock would not be noticed.

    Args:
        cache: folder of all caches; digests go into a folder of it.

    Raises:
        FileFault: the file cannot be read.
    """
    try:
        return _digest_of(path, cache / "digests")
    except OSError as error:
        raise FileFault(path, f"cannot be read ({error.strerror})", "restore the file or its permissions") from error


def _digest_of(path: Path, folder: Path) -> str:
    before = _state(path)
    if time.time() - max(before[2:]) / 1e9 < _SETTLED:
        return sha256_of(path)
    place = (folder, path, *before)
    if place in _known:
        return _known[place]

    def read() -> str:
        found = sha256_of(path)
        if _state(path) != before:
            raise _Changed
        return found

    try:
        # Links are not resolved, which would take most of the time: inode and times identify the target.
        _known[place] = str(cached(folder, digest([str(path.absolute()), *before]), read))
        return _known[place]
    except _Changed:
        return sha256_of(path)


class _Changed(Exception):
    """The file changed while it was read."""


def _state(path: Path) -> tuple[int, int, int, int]:
    status = path.stat()
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def sha256_of(path: Path) -> str:
    """SHA-256 of the content of a file, as 64 hexadecimal digits. Nothing is cached.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def cache_folder() -> Path:
    """Folder of all caches: `$STROKEREG_CACHE`, else `$XDG_CACHE_HOME/strokereg`, else `~/.cache/strokereg`.

    Raises:
        InputError: there is no home folder, or nothing can be written there.
    """
    fix = "set STROKEREG_CACHE to a folder that you may write to"
    if chosen := os.environ.get("STROKEREG_CACHE"):
        folder = Path(chosen)
    else:
        try:
            base = os.environ.get("XDG_CACHE_HOME")
            folder = (Path(base) if base else Path.home() / ".cache") / "strokereg"
        except RuntimeError as error:
            raise InputError(f"the cache: this user has no home folder; {fix}") from error
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise FileFault(folder, "the cache cannot be written", fix)
    return folder
