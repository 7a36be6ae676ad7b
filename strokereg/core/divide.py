"""Giving a cohort that has none its split: by subject, stratified by lesion volume."""

from __future__ import annotations

from pathlib import Path

from strokereg.core.cohort import SPLIT_FILE, open_cohort
from strokereg.core.errors import InputError
from strokereg.core.files import replacing
from strokereg.core.nifti import read_volume
from strokereg.core.split import make_split


def divide_cohort(root: Path | str, seed: int = 0) -> Path:
    """Write `split.tsv` for a cohort without one; an existing split stands.

    Args:
        root: cohort folder.
        seed: of the shuffle among subjects of like lesion volume.

    Returns:
        Path of the split.

    Raises:
        InputError: no cohort, a split already there, a case without lesion mask, fewer than 3 subjects.
    """
    cohort = open_cohort(root)
    path = cohort.root / SPLIT_FILE
    if cohort.split is not None:
        raise InputError(f"{path}: exists already and stands; remove it yourself if no result depends on it")
    volumes: dict[str, float] = {}
    for case in cohort.cases:
        if case.mask is None:
            raise InputError(f"{cohort.root}: {case.name} has no lesion mask; a split goes by lesion volume, so add it")
        mask = read_volume(case.mask)
        volumes[case.subject] = volumes.get(case.subject, 0.0) + float((mask.data > 0).sum()) * mask.voxel_ml
    try:
        with replacing(path) as temporary:
            make_split(volumes, list(volumes.values()), seed).write(temporary)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); make the folder writable") from error
    return path
