"""Small results that can be found again: what was computed from some content, kept as one little JSON file each."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from strokereg.core.storage.files import replacing
from strokereg.registry.errors import FileFault

_SETTLED = 2.0  # seconds: coarser than any file system's clock
_known: dict[tuple[object, ...], str] = {}  # digests that this process has met: each is asked for several times


def digest(content: object) -> str:
    """SHA-256 of plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def cached(folder: Path, key: str, make: Callable[[], Any]) -> Any:
    """A result of plain data by its key: read where it is known, else made and written down."""
    place = folder / key[:2] / f"{key[2:34]}.json"
    try:
        return json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        result = make()
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as temporary:
            temporary.write_text(json.dumps(result), encoding="utf-8")
        return result


def file_digest(path: Path, cache: Path) -> str:
    """SHA-256 of a file's bytes; they are read again only when the file may have changed.

    A file counts as the same while its path, size, inode and both its times are: unlike the time of modification, the
    time of change (ctime) cannot be set back by copying or unpacking. A file that changed within the last seconds is
    not written down, since a second change within one tick of the clock would go unseen.

    Args:
        cache: digests are kept in a folder of it.

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
        return _read(path)
    place = (folder, path, *before)
    if place in _known:
        return _known[place]

    def read() -> str:
        found = _read(path)
        if _state(path) != before:
            raise _Changed
        return found

    try:
        # Not resolved, which costs more than the rest: what a link leads to is known by its inode and times.
        _known[place] = str(cached(folder, digest([str(path.absolute()), *before]), read))
        return _known[place]
    except _Changed:
        return _read(path)


class _Changed(Exception):
    """A file changed while it was read."""


def _state(path: Path) -> tuple[int, int, int, int]:
    status = path.stat()
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _read(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def cache_folder() -> Path:
    """`$STROKEREG_CACHE`, else `$XDG_CACHE_HOME/strokereg`, else `~/.cache/strokereg`."""
    if chosen := os.environ.get("STROKEREG_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "strokereg"
