"""Plan of a cohort: the anatomy and lesion of each subject, with no source in two parts of the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strokereg.core.cohort.split import DEFAULT_PARTS, PARTS, Split, make_split
from strokereg.core.scan.nifti import find_images
from strokereg.core.simulate.lesions import draw_volume, load_lesion
from strokereg.registry.errors import InputError

_FEWEST_CASES = 5


@dataclass(frozen=True)
class CasePlan:
    """Sources of one subject.

    Attributes:
        index: position in the cohort, from 0; with the cohort's seed it seeds the subject.
        subject: `sub-0001` …
        anatomy: label map, or None for the built-in head.
        lesion: mask in MNI space, or None for a lesion grown at random.
        volume_ml: volume of the mask in MNI space, or the volume to grow.
    """

    index: int
    subject: str
    anatomy: Path | None
    lesion: Path | None
    volume_ml: float


@dataclass(frozen=True)
class CohortPlan:
    """All subjects and their split.

    Attributes:
        disjoint_anatomies, disjoint_lesions: no source serves two parts of the split.
    """

    cases: tuple[CasePlan, ...]
    split: Split
    disjoint_anatomies: bool
    disjoint_lesions: bool


def list_sources(folder: Path | str, option: str) -> list[Path]:
    """The images of a folder, by name.

    Args:
        option: the command-line option that names the folder, for error messages.

    Raises:
        InputError: no such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{option} {folder}: no such folder; give a folder with .nii.gz files")
    files = find_images(folder, "*")
    if not files:
        raise InputError(f"{option} {folder}: holds no image; give the folder that directly contains the .nii.gz files")
    return files


def draw_plan(
    cases: int,
    anatomies: Sequence[Path],
    lesions: Sequence[Path],
    seed: int,
    parts: tuple[int, int, int] = DEFAULT_PARTS,
) -> CohortPlan:
    """Split the subjects by lesion volume, then draw the anatomies and lesions of each part from separate pools.

    Sources are used equally often, within one. Each subject has its own lesion file if there are enough; otherwise the
    subjects that share a file are in the same part.

    Args:
        cases: number of subjects, at least 5.
        anatomies: label maps; empty for the built-in head.
        lesions: masks in MNI space; empty for lesions grown at random.
        seed: seed of all draws.
        parts: train : val : test, in proportion, for subjects and for their sources.

    Raises:
        InputError: too few cases, an empty part, or a lesion mask that cannot be used.
    """
    if cases < _FEWEST_CASES:
        raise InputError(f"--cases {cases}: a cohort needs at least {_FEWEST_CASES} cases to be split; ask for more")
    rng = np.random.default_rng([seed, 0])
    subjects = [f"sub-{i + 1:04d}" for i in range(cases)]
    files: list[Path | None] = [None] * cases
    if lesions:
        drawn = [lesions[i] for i in rng.permutation(len(lesions))[:cases]]
        size = {path: load_lesion(path).volume_ml for path in drawn}
        files = [drawn[i % len(drawn)] for i in range(cases)]
        volumes = [size[path] for path in files if path]
    else:
        volumes = [draw_volume(rng) for _ in range(cases)]

    apart = not lesions or len(drawn) >= _FEWEST_CASES
    if lesions and apart and len(drawn) < cases:
        split = _follow(subjects, files, make_split([str(p) for p in drawn], [size[p] for p in drawn], seed, parts))
    else:
        split = make_split(subjects, volumes, seed, parts)
    place = {subject: part for part in PARTS for subject in split.part(part)}

    heads: dict[str, Sequence[Path]] = dict.fromkeys(PARTS, anatomies)
    if len(anatomies) >= len(PARTS):
        pools = make_split([str(p) for p in anatomies], [0.0] * len(anatomies), seed, parts)
        heads = {part: [Path(p) for p in pools.part(part)] for part in PARTS}
    turn = dict.fromkeys(PARTS, 0)
    plans = []
    for index, subject in enumerate(subjects):
        part = place[subject]
        head = heads[part][turn[part] % len(heads[part])] if anatomies else None
        turn[part] += 1
        plans.append(CasePlan(index, subject, head, files[index], round(volumes[index], 3)))
    return CohortPlan(tuple(plans), split, len(anatomies) >= len(PARTS), apart)


def _follow(subjects: Sequence[str], files: Sequence[Path | None], pools: Split) -> Split:
    """Move each subject to the part of its lesion file."""
    parts = {
        part: tuple(s for path in pools.part(part) for s, f in zip(subjects, files, strict=True) if str(f) == path)
        for part in PARTS
    }
    return Split(parts["train"], tuple(sorted(parts["val"])), tuple(sorted(parts["test"])))
