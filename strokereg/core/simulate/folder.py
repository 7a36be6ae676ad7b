"""The files of a simulated cohort: BIDS raw images, and under derivatives what the simulator knows of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from strokereg.core.cohort.folder import write_description
from strokereg.core.cohort.labels import TISSUES
from strokereg.core.cohort.layout import DESCRIPTION
from strokereg.core.scan.nifti import write_volume
from strokereg.core.simulate.plan import CohortPlan
from strokereg.core.simulate.subject import Subject
from strokereg.core.storage.files import write_json, write_text

GENERATOR = "strokereg data simulate"
_DERIVED = Path("derivatives") / "strokereg"
_COLUMNS = {
    "lesion_ml": "Volume of the lesion mask in ml",
    "dwi_ratio": "Mean DWI in the lesion over mean DWI in the rest of the brain",
    "adc_ratio": "Mean ADC in the lesion over mean ADC in the rest of the brain",
    "reader_dice": "Dice of the lesion mask and the second simulated reader's mask",
    "anatomy": "Label map that the head was made from",
    "lesion": "Lesion mask that was brought into the head, or the volume that was grown",
}
_IGNORE = "split*.tsv\n**/*_adc.nii.gz\n"


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
    write_text(images / f"{name}_dwi.bval", f"{case.sequence.b:g}\n")
    write_text(images / f"{name}_dwi.bvec", "0\n0\n0\n")  # a trace image has no direction
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


def close_folder(out: Path, plan: CohortPlan, description: dict[str, Any]) -> None:
    """Write the tables, then the description that makes the folder a cohort."""
    rows = ["\t".join(("participant_id", *_COLUMNS)) + "\n"]
    for case in plan.cases:
        facts = facts_of(out, case.subject) or {}
        numbers = "\t".join(f"{facts[key]:g}" for key in ("lesion_ml", "dwi_ratio", "adc_ratio", "reader_dice"))
        anatomy = case.anatomy.name if case.anatomy else "MNI152"
        lesion = case.lesion.name if case.lesion else f"grown-{case.volume_ml:g}ml"
        rows.append(f"{case.subject}\t{numbers}\t{anatomy}\t{lesion}\n")
    write_text(out / "participants.tsv", "".join(rows))
    write_json(out / "participants.json", {name: {"Description": text} for name, text in _COLUMNS.items()})
    write_text(out / "README", description["GeneratedBy"][0]["Description"] + "\n")
    plan.split.write(out / "split.tsv")
    TISSUES.write(out / _DERIVED / "dseg.tsv")
    derived = {**description, "Name": "Tissue labels and lesion masks", "DatasetType": "derivative"}
    write_json(out / _DERIVED / DESCRIPTION, derived)
    write_text(out / ".bidsignore", _IGNORE)
    write_description(out, description)


def _images(out: Path, subject: str) -> Path:
    return out / subject / "dwi"
