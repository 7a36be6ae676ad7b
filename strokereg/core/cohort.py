"""A cohort: many cases on disk with a fixed split by subject."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from strokereg.core.case import CaseFiles
from strokereg.core.errors import InputError
from strokereg.core.labels import LabelTable
from strokereg.core.readers import bids, isles22
from strokereg.core.split import PARTS, Split

SPLIT_FILE = "split.tsv"
#: Who made a dataset in which no patient was scanned.
SIMULATION, SYNTHESIS = "strokereg data simulate", "strokereg synthesize"


@dataclass(frozen=True)
class Cohort:
    """Cases of one folder.

    Attributes:
        simulated: no patient was scanned for the images, as the dataset's own description says.
        split: None where the folder holds none (a cohort only judged on).
    """

    root: Path
    cases: tuple[CaseFiles, ...]
    table: LabelTable | None
    split: Split | None
    simulated: bool

    @property
    def name(self) -> str:
        """Folder name, as shown in tables."""
        return self.root.name

    def part(self, name: str) -> tuple[CaseFiles, ...]:
        """Cases of `train`, `val` or `test`, in the split's order."""
        assert self.split is not None
        by_subject: dict[str, list[CaseFiles]] = {}
        for case in self.cases:
            by_subject.setdefault(case.subject, []).append(case)
        return tuple(case for subject in self.split.part(name) for case in by_subject[subject])


def open_cohort(root: Path | str) -> Cohort:
    """Open a cohort folder of any known layout; files are listed, no voxel is read.

    Raises:
        InputError: no such folder, no known layout, no cases, or a split that does not fit the cases.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give a cohort folder, or make one with 'strokereg data simulate'")
    reader = next((reader for reader in (bids, isles22) if reader.recognises(root)), None)
    if reader is None:
        raise InputError(
            f"{root}: not a cohort folder; it needs a dataset_description.json and sub-*/dwi/*_dwi.nii.gz (BIDS), "
            "or ISLES'22's rawdata and derivatives"
        )
    cases = tuple(reader.read(root))
    if not cases:
        raise InputError(f"{root}: holds no sub-*/dwi/*_dwi.nii.gz; add the images")
    table_path = bids.table_path(root)
    split_path = root / SPLIT_FILE
    cohort = Cohort(
        root=root,
        cases=cases,
        table=LabelTable.read(table_path) if table_path else None,
        split=Split.read(split_path) if split_path.is_file() else None,
        simulated=_is_simulated(root),
    )
    if cohort.split is not None:
        known = {case.subject for case in cases}
        stray = [s for part in PARTS for s in cohort.split.part(part) if s not in known]
        if stray:
            raise InputError(f"{split_path}: names {stray[0]}, which has no DWI in {root}; correct the split")
    return cohort


def require_trainable(cohort: Cohort) -> None:
    """Refuse a cohort that a study cannot train on.

    Raises:
        InputError: no split, an empty part, missing label table, label maps or lesion masks.
    """
    if cohort.split is None:
        raise InputError(f"{cohort.root}: has no {SPLIT_FILE}; write one with 'strokereg data split {cohort.root}'")
    for part in PARTS:
        if not cohort.split.part(part):
            raise InputError(f"{cohort.root / SPLIT_FILE}: has no subject in '{part}'; give it at least one")
    if cohort.table is None:
        raise InputError(f"{cohort.root}: has no derivatives/*/dseg.tsv; add the label table of its label maps")
    used = [case for part in PARTS for case in cohort.part(part)]
    for case in used:
        if case.mask is None:
            raise InputError(
                f"{cohort.root}: {case.name} has no lesion mask; add derivatives/*/{case.subject}/dwi/"
                f"{case.name}_desc-lesion_mask.nii.gz (all zero where there is no lesion)"
            )
        if case.dseg is None:
            raise InputError(
                f"{cohort.root}: {case.name} has no tissue label map; add derivatives/*/{case.subject}/dwi/"
                f"{case.name}_dseg.nii.gz"
            )


def _is_simulated(root: Path) -> bool:
    description = root / "dataset_description.json"
    if not description.is_file():
        return False
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{description}: not valid JSON ({error}); correct it") from error
    makers = content.get("GeneratedBy") if isinstance(content, dict) else None
    return any(isinstance(m, dict) and m.get("Name") in (SIMULATION, SYNTHESIS) for m in makers or [])
