"""b-values of a diffusion series, from the `.bval` file beside it."""

from __future__ import annotations

import re
from pathlib import Path

from strokereg.core.scan.nifti import without_ending

#: Values within this share of the highest one belong to one shell, as scanners vary b with the direction.
SHELL = 0.05
#: A trace needs three directions at least.
DIRECTIONS = 3


def read_bvalues(image: Path) -> list[float]:
    """The b-values in s/mm², separated by spaces, tabs, commas or line breaks; empty without a readable file."""
    try:
        text = image.with_name(without_ending(image) + ".bval").read_text(encoding="utf-8-sig")
        return [float(word) for word in re.split(r"[\s,;]+", text) if word]
    except (OSError, ValueError):
        return []


def highest_shell(values: list[float]) -> tuple[int, ...]:
    """Indices of the volumes of the highest b-value; empty if all are b = 0."""
    top = max(values, default=0.0)
    return tuple(i for i, value in enumerate(values) if value >= (1 - SHELL) * top) if top > 0 else ()


def strongest_volume(image: Path) -> int | None:
    """Index of the volume with the highest b-value; None if it is not unique or the only one."""
    values = read_bvalues(image)
    highest = highest_shell(values)
    return highest[0] if len(values) > 1 and len(highest) == 1 else None
