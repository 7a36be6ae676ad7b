"""Writing a cohort folder: whose folder it is, the files beside its cases, and the description that completes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.layout import DESCRIPTION, PARTICIPANTS, TABLE
from strokereg.core.storage.files import read_json, write_json, write_text
from strokereg.registry.errors import InputError

#: Commands whose cohorts show no real patient.
SIMULATION, SYNTHESIS = "strokereg data simulate", "strokereg synthesize"
#: Maker of the cohort that the package brings.
EMBEDDED = "strokereg embedded cohort"

#: Name of the description until the last case is written, so that half a cohort is not taken for a cohort.
UNFINISHED = ".unfinished.json"

_IGNORED = "split*.tsv\n**/*_adc.nii.gz\n**/*_adc.nii\n"  # files that BIDS validators do not know


def describe(
    name: str, maker: str, settings: Mapping[str, Any], about: str | None = None, kind: str = "raw"
) -> dict[str, Any]:
    """The content of a `dataset_description.json`.

    Args:
        name: title of the dataset.
        maker: the command that writes it.
        settings: everything that decides the content of the dataset.
        about: a sentence about how it was made.
        kind: `raw` or `derivative`.
    """
    made_by: dict[str, Any] = {"Name": maker, "Version": metadata.version("strokereg")}
    if about is not None:
        made_by["Description"] = about
    made_by["Settings"] = dict(settings)
    return {"Name": name, "BIDSVersion": "1.10.0", "DatasetType": kind, "GeneratedBy": [made_by]}


def makers_of(description: Any) -> list[dict[str, Any]]:
    """The entries under GeneratedBy of a parsed description; malformed entries are left out."""
    makers = description.get("GeneratedBy") if isinstance(description, dict) else None
    return [maker for maker in makers if isinstance(maker, dict)] if isinstance(makers, list) else []


def read_makers(root: Path) -> list[dict[str, Any]]:
    """The programs that made a dataset, as its description says; none without a description.

    Raises:
        InputError: the description cannot be read or is not valid JSON.
    """
    path = root / DESCRIPTION
    if not path.is_file():
        return []
    try:
        return makers_of(read_json(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); correct its permissions") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); correct it") from error


def is_simulated(root: Path) -> bool:
    """True if the dataset's description says that no patient was scanned for the images."""
    return any(maker.get("Name") in (SIMULATION, SYNTHESIS) for maker in read_makers(root))


def is_synthetic(root: Path) -> bool:
    """True if the dataset's description says that `strokereg synthesize` made it."""
    return any(maker.get("Name") == SYNTHESIS for maker in read_makers(root))


def about_embedded(root: Path) -> str:
    """What the embedded cohort says of its source; empty for any other cohort."""
    return next((str(maker.get("Description", "")) for maker in read_makers(root) if maker.get("Name") == EMBEDDED), "")


def open_folder(out: Path, description: Mapping[str, Any]) -> bool:
    """Prepare a folder for a new cohort, or continue one that the same command began with the same settings.

    Args:
        out: is made if it does not exist.
        description: see `describe`.

    Returns:
        True if the cohort is already complete.

    Raises:
        InputError: the folder holds something else or a cohort of other settings, or it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (DESCRIPTION, UNFINISHED):
            if (out / name).is_file():
                check_settings(out / name, description, "give a new folder with --out")
                return name == DESCRIPTION
        if any(out.iterdir()):
            maker = description["GeneratedBy"][0]["Name"]
            raise InputError(f"{out}: is not empty and '{maker}' did not begin it; give a new folder with --out")
        write_json(out / UNFINISHED, description)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another folder with --out") from error
    return False


def check_settings(path: Path, wanted: Mapping[str, Any], fix: str) -> None:
    """Refuse a dataset of another command or of other settings.

    Args:
        path: the description on disk.
        wanted: the description that is about to be written.
        fix: what to do about it, for the error message.

    Raises:
        InputError: names the first setting that differs.
    """
    found = read_own(path, wanted["GeneratedBy"][0]["Name"], fix)
    refuse_other_settings(path.parent, _settings(found), _settings(wanted), fix)


def read_own(path: Path, maker: str, fix: str) -> dict[str, Any]:
    """Read the description of a dataset that one of our commands made.

    Raises:
        InputError: not valid JSON, or another program made the dataset.
    """
    try:
        found = read_json(path)
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); {fix}") from error
    if [made_by.get("Name") for made_by in makers_of(found)[:1]] != [maker]:
        raise InputError(f"{path.parent}: holds a dataset that '{maker}' did not make; {fix}")
    return dict(found)


def refuse_other_settings(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], fix: str) -> None:
    """Refuse to continue a dataset that was made with other settings.

    Raises:
        InputError: names the first setting that differs.
    """
    now = json.loads(json.dumps(now))  # tuples become lists, as on disk
    for key in {**now, **before}:
        old, new = before.get(key), now.get(key)
        if old != new:
            differs = _difference(key, old, new)
            raise InputError(f"{folder}: was made with {differs}; {fix}")


def _difference(key: str, old: Any, new: Any) -> str:
    """The first value that differs, in a table too: `options masks *_a.nii.gz instead of *_b.nii.gz`."""
    if isinstance(old, dict) and isinstance(new, dict):
        name = next(name for name in {**new, **old} if old.get(name) != new.get(name))
        return _difference(f"{key} {name}", old.get(name), new.get(name))
    return f"other {key}" if dict in (type(old), type(new)) else f"{key} {old} instead of {new}"


def _settings(description: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the first maker, with the source folder as one more."""
    sources = [source.get("URL") for source in description.get("SourceDatasets", [])]
    return {**makers_of(description)[0].get("Settings", {}), "source": sources or None}


@dataclass(frozen=True)
class SideFiles:
    """The files beside the cases of a cohort.

    Attributes:
        columns: columns of `participants.tsv` after `participant_id` → their meaning.
        rows: a row for each subject, its `participant_id` first.
        readme: text of `README`.
        derived: folder of label maps and lesion masks, below the cohort.
        table: label table of the maps; None if there are no maps.
    """

    columns: Mapping[str, str]
    rows: Sequence[Sequence[str]]
    readme: str
    derived: Path
    table: LabelTable | None


def close_folder(out: Path, description: Mapping[str, Any], files: SideFiles) -> None:
    """Write the files beside the cases, then the description: from then on the folder is a cohort."""
    lines = ["\t".join(row) + "\n" for row in (("participant_id", *files.columns), *files.rows)]
    write_text(out / PARTICIPANTS, "".join(lines))
    meanings = {name: {"Description": meaning} for name, meaning in files.columns.items()}
    write_json((out / PARTICIPANTS).with_suffix(".json"), meanings)
    write_text(out / "README", f"{files.readme}\n")
    write_text(out / ".bidsignore", _IGNORED)
    if (out / files.derived).is_dir():
        derived = {**description, "Name": "Tissue labels and lesion masks", "DatasetType": "derivative"}
        write_json(out / files.derived / DESCRIPTION, derived)
        if files.table is not None:
            files.table.write(out / files.derived / TABLE)
    write_description(out, description)


def write_description(out: Path, description: Mapping[str, Any]) -> None:
    """Write the description, which makes the folder a cohort."""
    write_json(out / DESCRIPTION, description)
    (out / UNFINISHED).unlink(missing_ok=True)
