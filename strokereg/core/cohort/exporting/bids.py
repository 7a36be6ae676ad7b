"""A BIDS dataset in strokereg's own layout (`core.cohort.layout`), which is a cohort again.

sub-1/dwi/sub-1_dwi.nii.gz    derivatives/strokereg/sub-1/dwi/sub-1_desc-lesion_mask.nii.gz, sub-1_dseg.nii.gz
participants.tsv              the columns of all cohorts, and the cohort that each subject comes from
split.tsv                     the split
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from strokereg.core.cohort.exporting.choose import Choice, ExportCase
from strokereg.core.cohort.exporting.files import ENDING, place_image
from strokereg.core.cohort.folder import SideFiles, close_folder, describe, read_makers
from strokereg.core.cohort.layout import PARTICIPANTS
from strokereg.core.cohort.participants import Participants, read_participants
from strokereg.core.cohort.split import PARTS, SPLIT_FILE, Split
from strokereg.core.scan.bvalues import read_bvalues
from strokereg.core.scan.nifti import without_ending

MAKER = "strokereg data export"
DERIVED = Path("derivatives") / "strokereg"
_COHORT = "cohort"


def begin(folder: Path, choice: Choice) -> None:
    """Nothing: cases make their own folders."""


def write_case(folder: Path, case: ExportCase, choice: Choice, link: bool) -> None:
    """Write images with their sidecars, lesion mask and label map of a case."""
    root = case.cohort.root
    for part, path in case.files.parts.items():
        below = path.relative_to(root)
        place = DERIVED / Path(*below.parts[2:]) if part in ("mask", "dseg") else below
        place = Path(*(word.replace(case.files.subject, case.subject, 1) for word in place.parts))
        target = folder / place.with_name(f"{without_ending(place)}{ENDING}")
        target.parent.mkdir(parents=True, exist_ok=True)
        place_image(case.files, part, target, link)
        single = len(read_bvalues(path)) == 1  # those of a series do not fit its one volume
        for ending in (".json", ".bval", ".bvec") if single else (".json",):
            beside = path.with_name(without_ending(path) + ending)
            if beside.is_file():
                shutil.copyfile(beside, target.with_name(without_ending(target) + ending))


def finish(folder: Path, choice: Choice, out: Path) -> list[str]:
    """Write the split, the participants and the description."""
    cohorts = list(dict.fromkeys(case.cohort.root for case in choice.cases))
    settings: dict[str, Any] = {"cohorts": [root.resolve().name for root in cohorts], "cases": len(choice.cases)}
    description = describe(out.name, MAKER, settings)
    # The first cohort has the validation and test cases, so it decides whether results are simulated.
    description["GeneratedBy"] += read_makers(cohorts[0])
    description["SourceDatasets"] = [{"URL": root.resolve().as_uri()} for root in cohorts]
    if choice.has_split:
        parts = (tuple(dict.fromkeys(case.subject for case in choice.parts[part])) for part in PARTS)
        Split(*parts).write(folder / SPLIT_FILE)
    participants = _participants(choice)
    readme = f"Exported by '{MAKER}'; {PARTICIPANTS} says which cohort each subject comes from."
    close_folder(
        folder, description, SideFiles(participants.columns, participants.lines(), readme, DERIVED, choice.table)
    )
    return [] if choice.has_split else ["the cohort has no split; write one with 'strokereg data split'"]


def _participants(choice: Choice) -> Participants:
    """The rows of all subjects, with the columns of all cohorts and the cohort of each subject."""
    tables = {case.cohort.root: read_participants(case.cohort.root) for case in choice.cases}
    columns = {name: meaning for table in reversed(tables.values()) for name, meaning in table.columns.items()}
    columns[_COHORT] = "Cohort that the subject comes from"
    rows = {}
    for case in choice.cases:
        known = tables[case.cohort.root].rows.get(case.files.subject, {})
        rows[case.subject] = {**known, _COHORT: case.cohort.root.resolve().name}
    return Participants(columns, rows)
