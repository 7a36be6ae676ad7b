"""Places that cannot be written, for real: file systems of their own, which root cannot write either."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Callable[..., Path]]:
    """A function that mounts a file system of its own, of so many kB, or a skip where that is not permitted."""
    mounted: list[Path] = []

    def make(size: int, read_only: bool = False) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}k,{'ro' if read_only else 'rw'}", "tmpfs", str(place)]
        try:
            done = subprocess.run(words, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            done = False
        if not done:
            pytest.skip("a small file system cannot be mounted here; it takes root")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)
