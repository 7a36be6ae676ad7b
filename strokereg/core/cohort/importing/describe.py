"""What an imported cohort says of itself: description, participants, label table, and the split it came with."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

from strokereg.core.cohort import layout
from strokereg.core.cohort.cohort import read_split
from strokereg.core.cohort.importing.naming import Visit
from strokereg.core.cohort.importing.settings import Settings
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.source import Source
from strokereg.core.cohort.split import PARTS, folds_of, split_file
from strokereg.core.storage.files import replacing, write_json, write_text
from strokereg.registry.errors import FileFault

MAKER = "strokereg data import"
DERIVED = Path("derivatives") / "imported"
_IGNORE = "split*.tsv\n**/*_adc.nii.gz\n**/*_adc.nii\n"


def describe(root: Path, settings: Settings) -> dict[str, Any]:
    """The `dataset_description.json` of the cohort: from where, how, and by whom."""
    return {
        "Name": root.resolve().name,
        "BIDSVersion": "1.10.0",
        "DatasetType": "raw",
        "GeneratedBy": [
            {"Name": MAKER, "Version": metadata.version("strokereg"), "Settings": settings.plain()},
            *_makers(root),
        ],
        "SourceDatasets": [{"URL": root.resolve().as_uri()}],
    }


def write_tables(out: Path, root: Path, visits: list[Visit], table: LabelTable | None) -> None:
    """Write what lies beside the cases: who came from where, label table, and what validators pass over."""
    images: dict[str, list[str]] = {}
    for visit in visits:
        if visit.is_in(out):
            images.setdefault(visit.subject, []).append(_below(root, visit.files.images["dwi"]))
    told = (f"{subject}\t{' '.join(paths)}\n" for subject, paths in sorted(images.items()))
    write_text(out / layout.PARTICIPANTS, "participant_id\tsource\n" + "".join(told))
    column = {"Description": "DWI that each visit was imported from, below the source folder"}
    write_json(out / "participants.json", {"source": column})
    write_text(out / "README", f"Imported by '{MAKER}'; {layout.DESCRIPTION} says from where and how.\n")
    write_text(out / ".bidsignore", _IGNORE)
    if table is not None and (out / DERIVED).is_dir():
        table.write(out / DERIVED / layout.TABLE)
    if (out / DERIVED).is_dir():
        derived = {"Name": "Lesion masks and label maps", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}
        write_json(out / DERIVED / layout.DESCRIPTION, {**derived, "GeneratedBy": [{"Name": MAKER}]})


def bring_splits(root: Path, source: Source, out: Path) -> dict[str, str]:
    """Take the source's split and folds along, where none is there and every subject kept its name and place."""
    left_out = {}
    there = {path.parent.name for path in out.glob("sub-*/dwi")} | {
        p.parent.parent.name for p in out.glob("sub-*/*/dwi")
    }
    for fold in (None, *folds_of(root)):
        path = out / split_file(fold)
        try:
            split = read_split(root, source.cases, fold)
        except FileFault as error:
            left_out[split_file(fold)] = str(error)
            continue
        if split is None or path.exists():
            continue
        gone = [subject for part in PARTS for subject in split.part(part) if subject not in there]
        if gone:
            left_out[split_file(fold)] = f"names {gone[0]}, which was not imported; import it, or write a new split"
        else:
            with replacing(path) as temporary:
                split.write(temporary)
    return left_out


def _makers(root: Path) -> list[Any]:
    """Who made the source, as it says itself: a simulated cohort stays one."""
    try:
        said = json.loads((root / layout.DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return layout.makers_of(said)


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
