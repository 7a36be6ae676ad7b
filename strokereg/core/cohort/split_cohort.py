"""Write the split of a cohort that has none: by subject, stratified by lesion volume."""

from __future__ import annotations

import contextlib
from pathlib import Path

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.split import DEFAULT_PARTS, folds_of, make_folds, make_split, split_file
from strokereg.core.scan.nifti import read_volume
from strokereg.core.storage.files import replacing
from strokereg.registry.errors import InputError


def split_cohort(
    root: Path | str, seed: int = 0, folds: int | None = None, parts: tuple[int, int, int] = DEFAULT_PARTS
) -> list[Path]:
    """Write `split.tsv` for a cohort, or a file for each fold. Existing files are never overwritten.

    Args:
        root: cohort folder.
        seed: seed of the shuffle among subjects of similar lesion volume.
        folds: number of folds of a cross-validation; None for a single split.
        parts: train : val : test of a single split, in proportion.

    Returns:
        Paths of the written files.

    Raises:
        InputError: no cohort, an existing split or fold, a case without lesion mask, or too few subjects.
    """
    cohort = open_cohort(root)
    for path in [cohort.root / split_file(fold) for fold in (folds_of(cohort.root) if folds is not None else [None])]:
        if path.exists():
            raise InputError(f"{path}: exists already and is not overwritten; remove it if no result depends on it")
    volumes: dict[str, float] = {}
    for case in cohort.cases:
        if case.mask is None:
            raise InputError(
                f"{cohort.root}: {case.name} has no lesion mask, but the split goes by lesion volume; add the mask"
            )
        mask = read_volume(case.mask)
        volumes[case.subject] = volumes.get(case.subject, 0.0) + float((mask.data > 0).sum()) * mask.voxel_ml
    subjects, sizes = list(volumes), list(volumes.values())
    if folds is None:
        splits = {cohort.root / split_file(): make_split(subjects, sizes, seed, parts)}
    else:
        made = make_folds(subjects, sizes, folds, seed)
        splits = {cohort.root / split_file(number): split for number, split in enumerate(made, start=1)}
    try:
        with contextlib.ExitStack() as stack:  # all of them or none
            for path, split in splits.items():
                split.write(stack.enter_context(replacing(path)))
    except OSError as error:
        raise InputError(f"{cohort.root}: cannot be written ({error.strerror}); make the folder writable") from error
    return list(splits)
