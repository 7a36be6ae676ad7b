"""Find files by pattern. Links are followed everywhere, so that a folder of links reads like the folder itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def search(root: Path, pattern: str) -> Iterator[Path]:
    """Paths below a folder that match a glob pattern.

    Links to files and folders are followed, also by `**`, which `Path.glob` does not do. Of several links to a folder,
    `**` enters one, so a loop ends. It enters no hidden folder: datasets of git-annex keep the content of their links
    in `.git`.

    Args:
        root: the folder.
        pattern: as in `Path.glob`. A link to a file that is missing matches too, so that reading it can say so.
    """
    head, recursive, tail = pattern.partition("**/")
    if not recursive:
        yield from root.glob(pattern)
        return
    seen: set[Path] = set()
    for start in sorted(root.glob(head.rstrip("/"))) if head else [root]:
        for folder in _folders(start):
            for path in search(folder, tail):
                if path not in seen:
                    seen.add(path)
                    yield path


def _folders(start: Path) -> Iterator[Path]:
    """A folder and all folders below it."""
    entered: set[str] = set()
    for place, names, _ in os.walk(start, followlinks=True):
        real = os.path.realpath(place)
        if real in entered:
            names.clear()
            continue
        entered.add(real)
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield Path(place)
