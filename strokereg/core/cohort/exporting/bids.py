"""A BIDS dataset in strokereg's own layout (`core.cohort.layout`), which is a cohort again.

sub-1/dwi/sub-1_dwi.nii.gz    derivatives/strokereg/sub-1/dwi/sub-1_desc-lesion_mask.nii.gz, sub-1_dseg.nii.gz
participants.tsv              the columns of all cohorts, and the cohort that each subject comes from
split.tsv                     the split
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

from strokereg.core.cohort.exporting.choose import Choice, ExportCase
from strokereg.core.cohort.exporting.files import ENDING, place_image
from strokereg.core.cohort.folder import SideFiles, close_folder, describe, read_makers
from strokereg.core.cohort.layout import PARTICIPANTS
from strokereg.core.cohort.split import PARTS, SPLIT_FILE, Split
from strokereg.core.scan.nifti import without_ending
from strokereg.core.storage.files import parse_json
from strokereg.registry.errors import FileFault

MAKER = "strokereg data export"
DERIVED = Path("derivatives") / "strokereg"
_COHORT = "cohort"
_SIDECARS = (".json", ".bval", ".bvec")


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
        place_image(path, target, link)
        for ending in _SIDECARS:
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
    columns, rows = _participants(choice)
    readme = f"Exported by '{MAKER}'; {PARTICIPANTS} says which cohort each subject comes from."
    close_folder(folder, description, SideFiles(columns, rows, readme, DERIVED, choice.table))
    return [] if choice.has_split else ["the cohort has no split; write one with 'strokereg data split'"]


def _participants(choice: Choice) -> tuple[dict[str, str], list[list[str]]]:
    """Columns with their meaning, and a row for each subject; `n/a` where its cohort lacks a column."""
    subjects = {case.subject: case for case in choice.cases}
    roots = dict.fromkeys(case.cohort.root for case in choice.cases)
    tables = {root: _read_participants(root) for root in roots}
    columns: dict[str, str] = {}
    for meanings, _ in tables.values():
        columns |= {name: meaning for name, meaning in meanings.items() if name not in columns}
    columns[_COHORT] = "Cohort that the subject comes from"
    rows = []
    for subject, case in sorted(subjects.items()):
        known = tables[case.cohort.root][1].get(case.files.subject, {})
        cells = {**known, _COHORT: case.cohort.root.resolve().name}
        rows.append([subject, *(cells.get(name) or "n/a" for name in columns)])
    return columns, rows


def _read_participants(root: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Columns of a cohort's `participants.tsv` with their meaning, and its rows by subject."""
    path = root / PARTICIPANTS
    if not path.is_file():
        return {}, {}
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t"))
        sidecar = path.with_suffix(".json")
        meanings = parse_json(sidecar.read_text(encoding="utf-8")) if sidecar.is_file() else {}
    except (OSError, ValueError, csv.Error) as error:
        raise FileFault(path, f"cannot be read as a table ({error})", "correct it") from error
    names = [name for name in (rows[0] if rows else {}) if name not in (None, "participant_id")]
    about = meanings if isinstance(meanings, dict) else {}
    entries = {name: about.get(name) for name in names}
    columns = {name: str(e.get("Description", name)) if isinstance(e, dict) else name for name, e in entries.items()}
    return columns, {row.get("participant_id", ""): row for row in rows}
