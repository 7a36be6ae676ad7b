"""Lesion masks that another tool predicted: which file belongs to which case, and whether it fits its scan."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from strokereg.core.cohort.case import CaseFiles, check_mask
from strokereg.core.scan.nifti import Volume, check_same_grid, ending_of, lost_header, read_volume, without_ending
from strokereg.registry.errors import FileFault, InputError

_MASK = re.compile(r"(?:^|[_-])(?:mask|lesion|dseg|seg|pred|prediction)$", re.IGNORECASE)  # ends the name of a mask


def match_masks(folder: Path, cases: Sequence[CaseFiles]) -> dict[str, Path]:
    """Find the mask of each case by its id in the file name, anywhere below a folder.

    For the case `sub-0007_ses-1` these names are tried in turn: the name itself (`sub-0007_ses-1.nii.gz`, as nnU-Net
    has it), names that begin with it (`sub-0007_ses-1_desc-lesion_mask.nii.gz`), the same with the subject alone if it
    has no other case, and names that contain the id without `sub-`, such as `ISLES_0007.nii.gz`. If several files
    fit, those that are called a mask count.

    Args:
        cases: all cases that need a mask.

    Returns:
        Name of the case → file.

    Raises:
        InputError: a case has no mask, or more than one.
    """
    files = {path: without_ending(path) for path in sorted(folder.rglob("*")) if path.is_file() and ending_of(path)}
    visits = Counter(case.subject for case in cases)
    found = {case.name: _files_of(case, files, visits[case.subject] == 1) for case in cases}
    missing = [name for name, paths in found.items() if not paths]
    if missing:
        more = f" and of {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{folder}: has no mask of {missing[0]}{more} of the {len(cases)} cases; "
            f"add {missing[0]}.nii.gz, or choose other cases with --split or --cases"
        )
    for name, paths in found.items():
        if len(paths) > 1:
            raise InputError(
                f"{folder}: {paths[0].relative_to(folder)} and {paths[1].relative_to(folder)} could both be the mask "
                f"of {name}; keep one of them in the folder"
            )
    return {name: paths[0] for name, paths in found.items()}


def _files_of(case: CaseFiles, files: dict[Path, str], alone: bool) -> list[Path]:
    ids = [case.name, *([case.subject] if alone else [])]
    for name in ids:
        for fits in (lambda stem, n=name: stem == n, lambda stem, n=name: stem.startswith(f"{n}_")):
            if found := [path for path, stem in files.items() if fits(stem)]:
                return _called_masks(found)
    for name in ids:
        bare = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name.removeprefix('sub-'))}(?![A-Za-z0-9])")
        if found := [path for path, stem in files.items() if bare.search(stem)]:
            return _called_masks(found)
    return []


def _called_masks(paths: list[Path]) -> list[Path]:
    masks = [path for path in paths if _MASK.search(without_ending(path))]
    return masks if masks and len(paths) > 1 else paths


def read_mask(path: Path, reference: Volume) -> np.ndarray:
    """Read a predicted mask, bool [X, Y, Z], on the grid of the scan.

    Raises:
        FileFault: an unreadable file, another grid, or other values than 0 and 1.
    """
    volume = read_volume(path)
    if lost_header(reference, volume):
        fault = f"has the shape of {reference.path.name}, but no affine of its own, so its header may be lost"
        raise FileFault(path, fault, "write it again with the affine of that scan")
    check_same_grid(reference, volume)
    check_mask(volume)
    return volume.data > 0
