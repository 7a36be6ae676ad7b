"""Where things are kept that can be made again: prepared cases and embedded cohorts."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$STROKEREG_CACHE`, else `$XDG_CACHE_HOME/strokereg`, else `~/.cache/strokereg`."""
    if chosen := os.environ.get("STROKEREG_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "strokereg"
