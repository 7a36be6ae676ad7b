"""A cohort's folder while it is being made: whose it is, and when it counts as a cohort."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from strokereg.core.cohort.layout import DESCRIPTION, makers_of
from strokereg.core.storage.files import write_json
from strokereg.registry.errors import InputError

# Under this name until the last case is there, so that half a cohort is not taken for one.
UNFINISHED = ".unfinished.json"


def open_folder(out: Path, description: dict[str, Any]) -> bool:
    """Take a folder for a cohort: new, empty, or begun earlier by the same command with the same settings.

    Args:
        description: of the dataset; who makes it and with which settings stands under GeneratedBy.

    Returns:
        True where the cohort is complete already.

    Raises:
        InputError: the folder holds something else, or a cohort of other settings, or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (DESCRIPTION, UNFINISHED):
            if (out / name).is_file():
                _check_same(out, json.loads((out / name).read_text(encoding="utf-8")), description)
                return name == DESCRIPTION
        if any(out.iterdir()):
            maker = description["GeneratedBy"][0]["Name"]
            raise InputError(f"{out}: is not empty and '{maker}' did not begin it; give a new folder with --out")
        write_json(out / UNFINISHED, description)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another folder with --out") from error
    except ValueError as error:
        raise InputError(f"{out}: its description is not valid JSON; delete the folder or choose another") from error
    return False


def write_description(out: Path, description: dict[str, Any]) -> None:
    """Write the description, by which the folder is a cohort from now on."""
    write_json(out / DESCRIPTION, description)
    (out / UNFINISHED).unlink(missing_ok=True)


def _check_same(out: Path, found: Any, wanted: dict[str, Any]) -> None:
    maker = wanted["GeneratedBy"][0]["Name"]
    made_by = (makers_of(found) or [{}])[0]
    if made_by.get("Name") != maker:
        raise InputError(f"{out}: holds a dataset that '{maker}' did not make; give a new folder with --out")
    before, now = {**made_by.get("Settings", {}), **_source(found)}, wanted["GeneratedBy"][0]["Settings"]
    now = {**now, **_source(wanted)}
    for key in now:
        if before.get(key) != now[key]:
            shown = (
                f"{key} {before.get(key)} instead of {now[key]}" if not isinstance(now[key], dict) else f"other {key}"
            )
            raise InputError(f"{out}: holds a cohort made with {shown}; give a new folder with --out")


def _source(description: dict[str, Any]) -> dict[str, Any]:
    """Where the cohort came from, as one more setting."""
    return (
        {"source": [said.get("URL") for said in description["SourceDatasets"]]}
        if "SourceDatasets" in description
        else {}
    )
