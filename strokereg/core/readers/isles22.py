"""The public layout of ISLES'22: `rawdata/sub-*/ses-*/…_dwi`, `derivatives/sub-*/ses-*/…_msk`."""

from __future__ import annotations

from pathlib import Path

from strokereg.core.case import CaseFiles

IMAGES = ("dwi", "adc")


def recognises(root: Path) -> bool:
    """True where `rawdata` and `derivatives` stand side by side with DWI sessions inside."""
    return (root / "derivatives").is_dir() and any(root.glob("rawdata/sub-*/ses-*/*_dwi.nii*"))


def read(root: Path) -> list[CaseFiles]:
    """List the cases, by name."""
    cases = []
    for dwi in sorted(root.glob("rawdata/sub-*/ses-*/*_dwi.nii*")):
        stem = dwi.name.split("_dwi.nii")[0]
        images = {name: path for name in IMAGES for path in sorted(dwi.parent.glob(f"{stem}_{name}.nii*"))}
        session = root / "derivatives" / dwi.parent.relative_to(root / "rawdata")
        masks = sorted(session.glob(f"{stem}_msk.nii*")) if session.is_dir() else []
        cases.append(CaseFiles(stem, stem.split("_")[0], images, masks[0] if masks else None))
    return cases
