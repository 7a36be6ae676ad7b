"""Write the split of a cohort that has none: by subject, stratified by lesion volume."""

from __future__ import annotations

import contextlib
from pathlib import Path

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.participants import sites_of
from strokereg.core.cohort.split import (
    DEFAULT_PARTS,
    folds_of,
    make_folds,
    make_site_split,
    make_split,
    split_file,
)
from strokereg.core.scan.nifti import read_volume
from strokereg.core.storage.files import replacing
from strokereg.registry.errors import InputError, did_you_mean


def split_cohort(
    root: Path | str,
    seed: int = 0,
    folds: int | None = None,
    parts: tuple[int, int, int] = DEFAULT_PARTS,
    test_site: str | None = None,
) -> list[Path]:
    """Write `split.tsv` for a cohort, or a file for each fold. Existing files are never overwritten.

    Args:
        root: cohort folder.
        seed: seed of the shuffle among subjects of similar lesion volume.
        folds: number of folds of a cross-validation; None for a single split.
        parts: train : val : test of a single split, in proportion.
        test_site: site of `participants.tsv` whose subjects are the test cases; the others train and validate.

    Returns:
        Paths of the written files.

    Raises:
        InputError: no cohort, an existing split or fold, a case without lesion mask, too few subjects, or no such site.
    """
    cohort = open_cohort(root)
    for path in [cohort.root / split_file(fold) for fold in (folds_of(cohort.root) if folds is not None else [None])]:
        if path.exists():
            raise InputError(f"{path}: exists already and is not overwritten; remove it if no result depends on it")
    tested = None if test_site is None else _subjects_of(cohort.root, test_site, folds)
    volumes: dict[str, float] = {}
    for case in cohort.cases:
        if case.mask is None:
            raise InputError(
                f"{cohort.root}: {case.name} has no lesion mask, but the split goes by lesion volume; add the mask"
            )
        mask = read_volume(case.mask)
        volumes[case.subject] = volumes.get(case.subject, 0.0) + float((mask.data > 0).sum()) * mask.voxel_ml
    subjects, sizes = list(volumes), list(volumes.values())
    if tested is not None:
        splits = {cohort.root / split_file(): make_site_split(subjects, sizes, tested, seed, parts)}
    elif folds is None:
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


def _subjects_of(root: Path, site: str, folds: int | None) -> set[str]:
    """The subjects of a site."""
    if folds is not None:
        raise InputError("--folds and --test-site: the one tests every subject, the other those of a site; give one")
    sites = sites_of(root)
    found = {subject for subject, name in sites.items() if name == site}
    if not found:
        known = sorted({*sites.values()})
        listed = f"it has {', '.join(known)}{did_you_mean(site, known)}" if known else "its participants.tsv names none"
        raise InputError(f"--test-site {site}: {root} has no such site; {listed}")
    return found
