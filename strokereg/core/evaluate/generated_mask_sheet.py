"""A sheet of lesion masks: one row per set, small lesions on the left and large ones on the right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from strokereg.core.scan.pictures import Key, Outlined, Sheet, SheetRow, window
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.scan.view import Convention

_QUANTILES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.97)
_DEEP = 6  # voxels behind each other that are shown white
_RIM, _WHITE = (150, 160, 175), (255, 255, 255)


def draw_sheet(
    sets: Mapping[str, np.ndarray], brain: np.ndarray, path: Path, convention: Convention = Convention.RADIOLOGICAL
) -> Path:
    """Draw masks of each set, taken at the same quantiles of its volumes. Volumes are shown from above and the side.

    Args:
        sets: name → bool [N, *S].
        brain: bool [*S], whose outline is drawn.
    """
    rows = []
    for name, masks in sets.items():
        order = np.argsort(masks.reshape(len(masks), -1).sum(axis=1), kind="stable")
        chosen = [masks[order[int(q * (len(order) - 1))]] for q in _QUANTILES]
        if brain.ndim == 2:
            rows.append(SheetRow(name, [_tile(mask, brain, convention) for mask in chosen]))
            continue
        above = [_tile(mask.sum(0), np.asarray(brain.any(axis=0)), convention, _DEEP) for mask in chosen]
        rows.append(SheetRow(f"{name}, from above", above))
        side = [_tile(mask.sum(2), np.asarray(brain.any(axis=2)), None, _DEEP) for mask in chosen]
        rows.append(SheetRow(f"{name}, from the side", side, sides=("P", "A")))
    sheet = Sheet(
        title="Lesion masks",
        caption="Each column shows masks of the same rank by size within their set. "
        + ("Volumes are projections: the more voxels behind each other, the whiter." if brain.ndim == 3 else ""),
        columns=[f"larger than {100 * q:.0f} %" for q in _QUANTILES],
        rows=rows,
        legend=[Key("lesion", _WHITE, True), Key("outline of the brain", _RIM)],
        convention=convention,
    )
    return write_sheet(sheet, path)


def _tile(mask: np.ndarray, brain: np.ndarray, convention: Convention | None, white: float = 1.0) -> Outlined:
    """A plane [Y, X] in a convention, or [Z, Y] with superior up."""
    mask, brain = (plane[::-1] if convention is None else convention.turn(plane) for plane in (mask, brain))
    return Outlined(window(mask, 0.0, white), brain, _RIM)
