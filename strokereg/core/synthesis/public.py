"""Public anatomies and lesion masks, from folders instead of the patients of the study.

With them, only the appearance is learned from the clinical cases of the arm. Files from which a validation or test
case was made, or that equal one, are left out. Their number is part of the results.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.cohort import Cohort
from strokereg.core.cohort.fingerprint import cached_fingerprint, mask_fingerprint, slice_fingerprints
from strokereg.core.cohort.labels import TISSUES, LabelTable
from strokereg.core.scan.grid import Preparation, frame_of
from strokereg.core.scan.nifti import Volume
from strokereg.core.simulate.anatomy import load_anatomy
from strokereg.core.simulate.plan import list_sources
from strokereg.core.storage.cache import digest, sha256_of
from strokereg.core.synthesis.mask_library import OF_COHORT, cohort_masks
from strokereg.core.train.prepared import PreparedCase, write_prepared
from strokereg.registry.errors import InputError

_FORMAT = 1  # part of every key; raise it when the stored data change


class PublicSources(BaseModel):
    """A folder of public anatomies or lesion masks; `left_out` belong to validation or test cases.

    Attributes:
        own: whether they are the lesion masks of the cohort's own training cases.
    """

    model_config = ConfigDict(extra="forbid")

    folder: str
    used: int
    left_out: int
    own: bool = False


@dataclass(frozen=True)
class Public:
    """The data that a study uses from public folders.

    Attributes:
        anatomies: prepared label maps without images; empty if none were requested.
        key: content key of the anatomies.
        masks: folder of the masks; None if none were requested.
        masks_key: content key of the used mask files.
        left_out: names of the mask files that are not used.
        facts: facts for the results, under `anatomies` and `masks`.
    """

    anatomies: tuple[PreparedCase, ...] = ()
    key: str = ""
    masks: Path | None = None
    masks_key: str = ""
    left_out: tuple[str, ...] = ()
    facts: tuple[tuple[str, PublicSources], ...] = ()


def gather_public(
    anatomies: Path | None,
    masks: Path | None,
    cohort: Cohort,
    table: LabelTable,
    preparation: Preparation,
    cache: Path,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Public:
    """Read and check the folders; label maps become prepared cases in the cohort's label table.

    Args:
        anatomies: folder of FreeSurfer-coded label maps.
        masks: folder of lesion masks in MNI space, or `cohort` for those of all training cases.

    Raises:
        InputError: a folder without usable files, one whose files all belong to held-out cases, or a cohort whose
            label table lacks the simulator's tissues.
    """
    held_out = [*cohort.part("val"), *cohort.part("test")]
    prepared, key, masks_key, left_out = list[PreparedCase](), "", "", tuple[str, ...]()
    facts = []
    if anatomies is not None:
        files, out = _disjoint(anatomies, "--anatomies", "anatomy", "dseg", cohort, held_out, cache)
        recode = _recode(table, anatomies)
        for done, path in enumerate(files):
            on_progress("preparing public anatomies", done + 1, len(files))
            prepared.append(_prepare(path, recode, table, preparation, cache))
        key = digest([case.folder.name for case in prepared])
        facts.append(("anatomies", PublicSources(folder=anatomies.name, used=len(files), left_out=len(out))))
    own = str(masks) == OF_COHORT
    if masks is not None:
        masks = cohort_masks(cohort.part("train"), cache) if own else masks
        files, left_out = _disjoint(masks, "--mask-library", "lesion", "mask", cohort, held_out, cache)
        masks_key = digest([f"{path.name}:{path.stat().st_size}" for path in files])
        name = cohort.name if own else masks.name
        facts.append(("masks", PublicSources(folder=name, used=len(files), left_out=len(left_out), own=own)))
    return Public(tuple(prepared), key, masks, masks_key, left_out, tuple(facts))


def _disjoint(
    folder: Path, option: str, column: str, part: str, cohort: Cohort, held_out: Sequence[CaseFiles], cache: Path
) -> tuple[list[Path], tuple[str, ...]]:
    """The files from which no held-out case was made and that equal none, and the names of the other files."""
    files = list_sources(folder, option)
    made_of = _made_of(cohort, column, {case.subject for case in held_out})
    own = [path for case in held_out if (path := case.dseg if part == "dseg" else case.mask) is not None]
    with ThreadPoolExecutor(max_workers=4) as pool:
        known = set().union(*pool.map(lambda path: _marks(path, part, cache), own))
        marks = list(pool.map(lambda path: _marks(path, part, cache), files))
    # The subjects of a simulated cohort are nobody; its sources are listed in its table.
    subjects = set() if cohort.simulated else {_number(case.subject) for case in held_out} - {""}
    out = tuple(
        path.name
        for path, mark in zip(files, marks, strict=True)
        if path.name in made_of or _number(path.name) in subjects or mark & known
    )
    used = [path for path in files if path.name not in out]
    if not used:
        raise InputError(
            f"{option} {folder}: all its {len(files)} files belong to validation or test cases of {cohort.root}; "
            "give others"
        )
    return used, out


def _marks(path: Path, part: str, cache: Path) -> set[str]:
    """Fingerprints of a file: of the volume, and of the slices of a lesion mask."""
    found = {cached_fingerprint(path, "mask_fingerprint", mask_fingerprint, cache)}
    if part == "mask":
        found |= set(cached_fingerprint(path, "slice_fingerprints", slice_fingerprints, cache).split())
    return found - {""}


def _number(name: str) -> str:
    """Subject in a file name, without leading zeros: `62` of `sub-0062` and `bwsrsub-62_lesion`; empty if none."""
    fit = re.search(r"sub-?0*([0-9a-z]+)", name, re.IGNORECASE)
    return fit[1].lower() if fit else ""


def _made_of(cohort: Cohort, column: str, subjects: set[str]) -> set[str]:
    """File names that a simulated cohort's `participants.tsv` lists as sources of these subjects."""
    path = cohort.root / "participants.tsv"
    if not path.is_file():
        return set()
    with path.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    return {row[column] for row in rows if row.get("participant_id") in subjects and row.get(column)}


def _recode(table: LabelTable, folder: Path) -> np.ndarray:
    """The label in this table of each tissue of the simulator."""
    lacking = [name for name in TISSUES.names if name not in table.names]
    if lacking:
        raise InputError(
            f"--anatomies {folder}: the cohort's label table has no {', '.join(lacking)}, which these label maps "
            f"contain; label the cohort with {', '.join(TISSUES.names[1:-1])}, or leave --anatomies out"
        )
    return np.array([table.names.index(name) for name in TISSUES.names], dtype=np.uint8)


def _prepare(path: Path, recode: np.ndarray, table: LabelTable, preparation: Preparation, cache: Path) -> PreparedCase:
    content = sha256_of(path)
    key = digest([_FORMAT, "anatomy", content, preparation.model_dump(), table.names])
    entry = cache / key[:2] / key[2:34]
    if not entry.is_dir():
        anatomy = load_anatomy(path)
        head = Volume((anatomy.labels > 0).astype(np.float32), np.diag([*anatomy.spacing, 1.0]), path)
        labels = frame_of(head, preparation).labels(recode[anatomy.labels], table.count)
        nothing = np.full((len(preparation.channels), *labels.shape), -1.0, dtype=np.float32)
        write_prepared(entry, path.name, nothing, labels, table.lesion)
    return PreparedCase(path.name, entry, table.lesion)
