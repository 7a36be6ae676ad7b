"""Weights that an ONNX file keeps in other files beside it.

strokereg writes one file, but other tools move large weights out of it. Files outside the model's folder are refused:
a model of unknown origin could otherwise read any file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from strokereg.export.runtime.onnx_header import fields, parts
from strokereg.registry.errors import InputError

# Message → field → message, on the ways to all tensors of a model.
_MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}


@dataclass(frozen=True)
class Place:
    """Where the weights of a tensor lie: file, first byte and number of bytes (0 for all)."""

    location: str
    offset: int = 0
    length: int = 0


def check_external_data(path: Path) -> None:
    """Refuse a model whose weights are not there, or lie outside its folder.

    Raises:
        InputError: a file that is missing, cut short, or outside the folder.
    """
    folder = path.resolve().parent
    for place in dict.fromkeys(places(path)):
        file = folder / place.location
        if not file.resolve().is_relative_to(folder):
            raise InputError(
                f"{path}: keeps weights in {place.location}, outside its folder, which is not allowed; "
                "give a file that 'strokereg export' wrote"
            )
        if not file.is_file():
            raise InputError(f"{path}: keeps weights in {place.location}, which is not beside it; copy that file too")
        if file.stat().st_size < place.offset + place.length:
            raise InputError(f"{path}: keeps weights in {place.location}, which is cut short; copy that file again")


def places(path: Path) -> list[Place]:
    """Where the tensors of a model lie that are not in the file itself; read without their values.

    Raises:
        InputError: not an ONNX file, or a truncated one.
    """
    found: list[Place] = []
    try:
        with path.open("rb") as file:
            for entries in _tensors(file, path.stat().st_size, "model"):
                if "location" in entries:
                    numbers = (int(entries.get(key, 0)) for key in ("offset", "length"))
                    found.append(Place(entries["location"], *numbers))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: its graph is damaged; copy the file again, or export the run again") from error
    return found


def _tensors(file: BinaryIO, end: int, message: str) -> Iterator[dict[str, str]]:
    """The entries of each tensor that lies outside, of a message up to `end`."""
    entries: dict[str, str] = {}
    for field, value in parts(file, end):
        inner = _MESSAGES[message].get(field)
        if inner is None or isinstance(value, int):
            continue
        if inner == "entry":
            pair = dict(fields(file, value.stop))
            entries[pair[1].decode("utf-8")] = pair[2].decode("utf-8")  # type: ignore[union-attr]
        else:
            yield from _tensors(file, value.stop, inner)
    if entries:
        yield entries
