"""A sheet of lesion masks: one row per set, small lesions on the left and large ones on the right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from strokereg.core.scan.pictures import outline, radiological, window
from strokereg.core.scan.sheet import write_sheet

_QUANTILES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.97)
_DEEP = 6  # voxels behind each other that are shown white
_RIM = (70, 80, 95)


def draw_sheet(sets: Mapping[str, np.ndarray], brain: np.ndarray, path: Path) -> Path:
    """Draw masks of each set, taken at the same quantiles of its volumes.

    Args:
        sets: name → bool [N, *S].
        brain: bool [*S], whose outline is drawn.
    """
    rows = []
    for name, masks in sets.items():
        order = np.argsort(masks.reshape(len(masks), -1).sum(axis=1), kind="stable")
        chosen = [masks[order[int(q * (len(order) - 1))]] for q in _QUANTILES]
        rows.append({"label": name, "images": [_tile(mask, brain) for mask in chosen]})
    columns = [f"larger than {100 * q:.0f} %" for q in _QUANTILES]
    return write_sheet({"title": "", "caption": "", "columns": columns, "rows": rows}, path)  # type: ignore[typeddict-item]


def _tile(mask: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """A slice unchanged; a volume projected from above and, below that, from the side. Thicker parts are whiter."""
    if mask.ndim == 2:
        return outline(window(radiological(mask), 0.0, 1.0), radiological(brain), _RIM)
    above = outline(window(radiological(mask.sum(0)), 0.0, _DEEP), radiological(np.any(brain, axis=0)), _RIM)
    side = outline(window(mask.sum(2)[::-1], 0.0, _DEEP), np.any(brain, axis=2)[::-1], _RIM)
    wide = max(above.shape[1], side.shape[1])
    padded = [np.pad(view, ((0, 0), (0, wide - view.shape[1]), (0, 0))) for view in (above, side)]
    return np.concatenate(padded)
