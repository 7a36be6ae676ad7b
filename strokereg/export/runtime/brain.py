"""Scans with a skull: a segmenter of diffusion-weighted images gets the brain only, as in its training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from strokereg.core.brain.extraction import extract_brain, shows_skull, within
from strokereg.core.scan.nifti import Volume, check_same_grid, read_volume
from strokereg.registry.errors import FileFault, InputError

_WEIGHTED = ("dwi", "trace")


def brain_only(
    scans: Sequence[Volume], channels: Sequence[str], mask: Path | str | None = None, extract: bool = True
) -> tuple[list[Volume], tuple[str, ...]]:
    """The scans without signal outside the brain.

    Without a mask, the brain is extracted from the diffusion-weighted image, if there is one and it shows a skull.

    Args:
        scans: one a channel, on one grid.
        mask: brain mask on the same grid.
        extract: False leaves scans as they are, unless there is a mask.

    Returns:
        The scans, and what was done to them, a sentence each.

    Raises:
        InputError: an unreadable or empty mask, or one on another grid.
    """
    if mask is not None:
        given = read_volume(Path(mask))
        check_same_grid(scans[0], given)
        if not (given.data > 0).any():
            raise InputError(f"{mask}: the brain mask is empty; give one with the brain in it, or leave --mask out")
        return within(scans, given.data > 0), ()
    weighted = [scan for scan, channel in zip(scans, channels, strict=True) if channel in _WEIGHTED]
    if not extract or not weighted:
        return list(scans), ()
    try:
        brain = extract_brain(weighted[0])
    except FileFault as fault:
        return list(scans), (f"{fault}; segmented as it is",)
    if not shows_skull(weighted[0], brain):
        return list(scans), ()
    volume = float(np.count_nonzero(brain)) * weighted[0].voxel_ml
    done = f"{weighted[0].path}: shows a skull, so the brain was extracted ({volume:.0f} ml)"
    return within(scans, brain), (f"{done}; give a better mask with --mask FILE",)
