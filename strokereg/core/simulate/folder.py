"""The files of a simulated cohort: BIDS raw images, and under derivatives what the simulator knows of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from strokereg.core.errors import InputError
from strokereg.core.files import replacing
from strokereg.core.labels import TISSUES
from strokereg.core.nifti import write_volume
from strokereg.core.record import write_json
from strokereg.core.simulate.plan import Plan
from strokereg.core.simulate.subject import Subject

GENERATOR = "strokereg data simulate"
DESCRIPTION = "dataset_description.json"
# Under this name until the last case is there, so that half a cohort is not taken for one.
UNFINISHED = ".unfinished.json"
_DERIVED = Path("derivatives") / "strokereg"
_COLUMNS = {
    "lesion_ml": "Volume of the lesion mask in ml",
    "dwi_ratio": "Mean DWI in the lesion over mean DWI in the rest of the brain",
    "adc_ratio": "Mean ADC in the lesion over mean ADC in the rest of the brain",
    "reader_dice": "Dice of the lesion mask and the second simulated reader's mask",
    "anatomy": "Label map that the head was made from",
    "lesion": "Lesion mask that was brought into the head, or the volume that was grown",
}
_IGNORE = "split.tsv\n**/*_adc.nii.gz\n"


def open_folder(out: Path, description: dict[str, Any]) -> bool:
    """Take a folder for a cohort: new, empty, or begun earlier with the same settings.

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
            raise InputError(f"{out}: is not empty and not a simulated cohort; give a new folder with --out")
        write_json(out / UNFINISHED, description)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another folder with --out") from error
    except ValueError as error:
        raise InputError(f"{out}: its description is not valid JSON; delete the folder or choose another") from error
    return False


def _check_same(out: Path, found: Any, wanted: dict[str, Any]) -> None:
    made_by = (found.get("GeneratedBy") if isinstance(found, dict) else None) or [{}]
    if made_by[0].get("Name") != GENERATOR:
        raise InputError(
            f"{out}: holds a dataset that 'strokereg data simulate' did not make; give a new folder with --out"
        )
    before, now = made_by[0].get("Settings", {}), wanted["GeneratedBy"][0]["Settings"]
    for key in now:
        if before.get(key) != now[key]:
            shown = (
                f"{key} {before.get(key)} instead of {now[key]}" if not isinstance(now[key], dict) else f"other {key}"
            )
            raise InputError(f"{out}: holds a cohort simulated with {shown}; give a new folder with --out")


def facts_of(out: Path, subject: str) -> dict[str, Any] | None:
    """What is known of a finished subject, or None while it is not finished."""
    path = _images(out, subject) / f"{subject}_dwi.json"
    if not path.is_file():
        return None
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["Simulation"]
    return facts


def write_subject(out: Path, name: str, case: Subject) -> dict[str, Any]:
    """Write one subject's files; its sidecar comes last and says that the subject is whole."""
    images, derived = _images(out, name), out / _DERIVED / name / "dwi"
    for folder in (images, derived):
        folder.mkdir(parents=True, exist_ok=True)
    write_volume(derived / f"{name}_dseg.nii.gz", case.dseg, case.affine)
    write_volume(derived / f"{name}_desc-lesion_mask.nii.gz", case.lesion.astype(np.uint8), case.affine)
    write_volume(derived / f"{name}_desc-reader2_mask.nii.gz", case.second_reader.astype(np.uint8), case.affine)
    write_volume(images / f"{name}_adc.nii.gz", case.adc, case.affine)
    write_volume(images / f"{name}_dwi.nii.gz", case.dwi, case.affine)
    _write(images / f"{name}_dwi.bval", f"{case.sequence.b:g}\n")
    _write(images / f"{name}_dwi.bvec", "0\n0\n0\n")  # a trace image has no direction
    facts = case.facts()
    sidecar = {
        "EchoTime": round(case.sequence.echo_ms / 1000.0, 4),
        "MagneticFieldStrength": 3,
        "DiffusionBValue": case.sequence.b,
        "SkullStripped": True,
        "Simulation": facts,
    }
    write_json(images / f"{name}_dwi.json", sidecar)
    return facts


def close_folder(out: Path, plan: Plan, description: dict[str, Any]) -> None:
    """Write the tables, then the description that makes the folder a cohort."""
    rows = ["\t".join(("participant_id", *_COLUMNS)) + "\n"]
    for case in plan.cases:
        facts = facts_of(out, case.subject) or {}
        numbers = "\t".join(f"{facts[key]:g}" for key in ("lesion_ml", "dwi_ratio", "adc_ratio", "reader_dice"))
        anatomy = case.anatomy.name if case.anatomy else "MNI152"
        lesion = case.lesion.name if case.lesion else f"grown-{case.volume_ml:g}ml"
        rows.append(f"{case.subject}\t{numbers}\t{anatomy}\t{lesion}\n")
    _write(out / "participants.tsv", "".join(rows))
    write_json(out / "participants.json", {name: {"Description": text} for name, text in _COLUMNS.items()})
    _write(out / "README", description["GeneratedBy"][0]["Description"] + "\n")
    plan.split.write(out / "split.tsv")
    TISSUES.write(out / _DERIVED / "dseg.tsv")
    derived = {**description, "Name": "Tissue labels and lesion masks", "DatasetType": "derivative"}
    write_json(out / _DERIVED / DESCRIPTION, derived)
    _write(out / ".bidsignore", _IGNORE)
    write_json(out / DESCRIPTION, description)
    (out / UNFINISHED).unlink(missing_ok=True)


def _images(out: Path, subject: str) -> Path:
    return out / subject / "dwi"


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
