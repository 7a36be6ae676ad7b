"""A datalist of MONAI, for `monai.data.load_decathlon_datalist` and Auto3DSeg.

datalist.json      training, validation, test: [{"case", "image": [one file a channel], "label", "dwi", …, "dseg"}, …]
images/sub-1_dwi.nii.gz    labels/sub-1_lesion.nii.gz    labels/sub-1_dseg.nii.gz (tissue labels, if there are any)
cases.tsv          where each case comes from

Paths are relative to the datalist. `image` holds all channels; each channel also has a key with its own name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from strokereg.core.cohort.exporting.choose import Choice, ExportCase
from strokereg.core.cohort.exporting.files import ENDING, place_image, write_origins
from strokereg.core.storage.files import write_json

DATALIST = "datalist.json"
_KEYS = {"train": "training", "val": "validation", "test": "test"}


def begin(folder: Path, choice: Choice) -> None:
    """Make the folders of the cases."""
    (folder / "images").mkdir()
    (folder / "labels").mkdir()


def write_case(folder: Path, case: ExportCase, choice: Choice, link: bool) -> None:
    """Write images, lesion mask and tissue labels of a case."""
    for part, path in _paths(case).items():
        place_image(case.files, part, folder / path, link)


def finish(folder: Path, choice: Choice, out: Path) -> list[str]:
    """Write the datalist."""
    write_origins(folder, choice)
    content = {
        "name": out.name,
        "modality": {str(number): channel for number, channel in enumerate(choice.channels)},
        "labels": {"0": "background", "1": "lesion"},
        "numTraining": len(choice.parts["train"]),
        "numTest": len(choice.parts["test"]),
        **({"dseg": list(choice.table.names)} if choice.table else {}),
        **{key: [_item(case, choice) for case in choice.parts[part]] for part, key in _KEYS.items()},
    }
    write_json(folder / DATALIST, content)
    return [] if choice.has_split else ["the cohort has no split, so all cases are training cases"]


def _paths(case: ExportCase) -> dict[str, str]:
    """Part of the case → its file, relative to the datalist."""
    places = {"mask": f"labels/{case.name}_lesion{ENDING}", "dseg": f"labels/{case.name}_dseg{ENDING}"}
    return {part: places.get(part, f"images/{case.name}_{part}{ENDING}") for part in case.files.parts}


def _item(case: ExportCase, choice: Choice) -> dict[str, Any]:
    paths = _paths(case)
    images = {channel: paths[channel] for channel in choice.channels}
    others = {key: paths[part] for part, key in (("mask", "label"), ("dseg", "dseg")) if part in paths}
    return {"case": case.name, "image": list(images.values()), **others, **images}
