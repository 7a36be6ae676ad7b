"""Files of a simulated cohort: BIDS images, and under derivatives the truth that the simulator knows."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from strokereg.core.cohort.folder import UNFINISHED, SideFiles, close_folder
from strokereg.core.cohort.labels import TISSUES
from strokereg.core.cohort.layout import PARTICIPANTS, folder_of
from strokereg.core.cohort.split import SPLIT_FILE
from strokereg.core.scan.nifti import write_volume
from strokereg.core.simulate.plan import CohortPlan
from strokereg.core.simulate.subject import Subject
from strokereg.core.storage.files import write_json, write_text

_DERIVED = Path("derivatives") / "strokereg"
_FACTS = {
    "lesion_ml": "Volume of the lesion mask in ml",
    "dwi_ratio": "Mean DWI in the lesion over mean DWI in the rest of the brain",
    "adc_ratio": "Mean ADC in the lesion over mean ADC in the rest of the brain",
    "reader_dice": "Dice of the lesion mask and the second simulated reader's mask",
}
_SOURCES = {
    "anatomy": "Label map that the head was made from",
    "lesion": "Lesion mask that was placed in the head, or the volume that was grown",
}


def write_subject(out: Path, name: str, case: Subject) -> None:
    """Write the files of a subject. Its sidecar comes last and marks the subject as complete."""
    images = out / folder_of(name, None)
    derived = out / _DERIVED / folder_of(name, None)
    for folder in (images, derived):
        folder.mkdir(parents=True, exist_ok=True)
    write_volume(derived / f"{name}_dseg.nii.gz", case.dseg, case.affine)
    write_volume(derived / f"{name}_desc-lesion_mask.nii.gz", case.lesion.astype(np.uint8), case.affine)
    write_volume(derived / f"{name}_desc-reader2_mask.nii.gz", case.second_reader.astype(np.uint8), case.affine)
    write_volume(images / f"{name}_adc.nii.gz", case.adc, case.affine)
    write_volume(images / f"{name}_dwi.nii.gz", case.dwi, case.affine)
    write_text(images / f"{name}_dwi.bval", f"{case.sequence.b:g}\n")
    write_text(images / f"{name}_dwi.bvec", "0\n0\n0\n")  # a trace image has no direction
    sidecar = {
        "EchoTime": round(case.sequence.echo_ms / 1000.0, 4),
        "MagneticFieldStrength": case.sequence.tesla,
        "DiffusionBValue": case.sequence.b,
        "SkullStripped": True,
        "Simulation": case.facts(),
    }
    write_json(_sidecar(out, name), sidecar)


def read_facts(out: Path, subject: str) -> dict[str, Any] | None:
    """Measurements of a finished subject (see `Subject.facts`); None if it is not finished."""
    path = _sidecar(out, subject)
    if not path.is_file():
        return None
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["Simulation"]
    return facts


def finish_cohort(out: Path, plan: CohortPlan, description: Mapping[str, Any]) -> None:
    """Write the split and the tables, then the description that makes the folder a cohort."""
    rows = []
    for case in plan.cases:
        facts = read_facts(out, case.subject) or {}
        anatomy = case.anatomy.name if case.anatomy else "MNI152"
        lesion = case.lesion.name if case.lesion else f"grown-{case.volume_ml:g}ml"
        rows.append([case.subject, *(f"{facts[name]:g}" for name in _FACTS), anatomy, lesion])
    plan.split.write(out / SPLIT_FILE)
    readme = description["GeneratedBy"][0]["Description"]
    close_folder(out, description, SideFiles({**_FACTS, **_SOURCES}, rows, readme, _DERIVED, TISSUES))


def remove_subjects(out: Path, plan: CohortPlan) -> None:
    """Remove what was made of an unfinished cohort; other files in its folder stay."""
    for case in plan.cases:
        for folder in (out / case.subject, out / _DERIVED / case.subject):
            shutil.rmtree(folder, ignore_errors=True)
    (out / UNFINISHED).unlink(missing_ok=True)
    for folder in (out / _DERIVED, (out / _DERIVED).parent, out):
        with contextlib.suppress(OSError):  # it holds something else
            folder.rmdir()


def summarise(cohort: Path) -> dict[str, Any]:
    """Summarise a simulated cohort from its `participants.tsv`.

    Returns:
        cases; median lesion volume in ml; medians of the lesion's mean DWI and ADC over the rest of the brain's;
        mean Dice of the two readers; path.
    """
    with (cohort / PARTICIPANTS).open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in _FACTS}
    return {
        "cases": len(rows),
        "median_lesion_ml": round(float(np.median(columns["lesion_ml"])), 3),
        "median_dwi_ratio": round(float(np.median(columns["dwi_ratio"])), 3),
        "median_adc_ratio": round(float(np.median(columns["adc_ratio"])), 3),
        "mean_reader_dice": round(float(columns["reader_dice"].mean()), 3),
        "path": str(cohort),
    }


def _sidecar(out: Path, subject: str) -> Path:
    return out / folder_of(subject, None) / f"{subject}_dwi.json"
