"""How names of NIfTI files end, in small letters or capitals."""

from __future__ import annotations

from pathlib import Path

ENDINGS = (".nii.gz", ".nii")


def ending_of(path: Path) -> str | None:
    """`.nii.gz` or `.nii`, however it is written, or None for another file."""
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)


def without_ending(path: Path) -> str:
    """The file's name without `.nii.gz` or `.nii`."""
    return path.name[: len(path.name) - len(ending_of(path) or "")]
