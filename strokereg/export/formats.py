"""The formats that a run can be exported to. No torch here: the command line checks names before any work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from strokereg.core.errors import InputError, did_you_mean

#: Format → ending of its files.
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt"}


def check_formats(names: Iterable[str]) -> tuple[str, ...]:
    """The formats asked for, each once, in the order given.

    Raises:
        InputError: an unknown format, or none at all.
    """
    formats = tuple(dict.fromkeys(name.strip().lower() for name in names if name.strip()))
    for name in formats:
        if name not in SUFFIXES:
            raise InputError(f"--format {name}: unknown{did_you_mean(name, SUFFIXES)}; known are {', '.join(SUFFIXES)}")
    if not formats:
        raise InputError(f"--format: names no format; known are {', '.join(SUFFIXES)}")
    return formats


def format_of(path: Path | str) -> str:
    """The format of an exported file, by its ending.

    Raises:
        InputError: the ending belongs to no format.
    """
    path = Path(path)
    for name, suffix in SUFFIXES.items():
        if path.suffix == suffix:
            return name
    raise InputError(f"{path}: not an exported model; give a file that ends in {' or '.join(SUFFIXES.values())}")
