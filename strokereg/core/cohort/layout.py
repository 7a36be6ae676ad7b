"""strokereg's own layout: BIDS images, with label maps and lesion masks under derivatives.

dataset_description.json   participants.tsv   split.tsv
sub-0001/dwi/sub-0001_dwi.nii.gz  (+ _adc.nii.gz)                  with sessions: sub-0001/ses-1/dwi/…
sub-0001/anat/sub-0001[_space-…]_FLAIR.nii.gz                      in cohorts without DWI; or T1w, T2w
derivatives/<name>/dseg.tsv
derivatives/<name>/sub-0001/dwi/sub-0001_dseg.nii.gz, sub-0001_desc-lesion_mask.nii.gz
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from strokereg.core.cohort.case import CaseFiles

IMAGES = ("dwi", "adc")
ANATOMICAL = ("FLAIR", "T1w", "T2w")
DESCRIPTION, PARTICIPANTS, TABLE = "dataset_description.json", "participants.tsv", "dseg.tsv"


def recognises(root: Path) -> bool:
    """True if the folder has a BIDS description."""
    return (root / DESCRIPTION).is_file()


def list_cases(root: Path) -> list[CaseFiles]:
    """List the cases that have a DWI, by name; without any DWI, those with an anatomical image."""
    return _list("dwi", ("dwi",), root) or _list("anat", ANATOMICAL, root)


def _list(kind: str, first: tuple[str, ...], root: Path) -> list[CaseFiles]:
    """Cases by their first image, in folders of one kind."""
    cases: dict[str, CaseFiles] = {}
    look = _Names()
    derived = sorted((root / "derivatives").glob("*")) if (root / "derivatives").is_dir() else []
    listed = [
        (path, path.name.split(f"_{contrast}.nii")[0])
        for contrast in first
        for level in ("sub-*", "sub-*/ses-*")
        for path in sorted(root.glob(f"{level}/{kind}/*_{contrast}.nii*"))
    ]
    for image, stem in listed:
        folder = image.parent.relative_to(root)
        name = "_".join(part for part in stem.split("_") if not part.startswith("space-"))
        if name in cases:
            continue
        known = IMAGES if kind == "dwi" else ANATOMICAL
        images = {name: path for name in known if (path := look.find(image.parent, f"{stem}_{name}.nii"))}
        masks = [found for d in derived if (found := look.find(d / folder, f"{stem}_desc-lesion_mask.nii"))]
        dsegs = [found for d in derived if (found := look.find(d / folder, f"{stem}_dseg.nii"))]
        cases[name] = CaseFiles(
            name=name,
            subject=stem.split("_")[0],
            images=images,
            mask=masks[0] if masks else None,
            dseg=dsegs[0] if dsegs else None,
        )
    return [cases[name] for name in sorted(cases)]


def is_plain(cases: Iterable[CaseFiles]) -> bool:
    """True if all names consist of subject and session, as in this layout; other BIDS datasets have more entities."""
    return all(re.fullmatch(r"sub-[^_]+(_ses-[^_]+)?", case.name) for case in cases)


def table_path(root: Path) -> Path | None:
    """The label table beside the label maps, or None."""
    found = sorted(root.glob(f"derivatives/*/{TABLE}"))
    return found[0] if found else None


def folder_of(subject: str, session: str | None) -> Path:
    """Folder of the files of one visit, below the cohort and below each derivative."""
    return Path(subject, session, "dwi") if session else Path(subject, "dwi")


class _Names:
    """Names in folders. Each folder is listed once, as a glob for each case would be slow in large cohorts."""

    def __init__(self) -> None:
        self.known: dict[Path, list[str]] = {}

    def find(self, folder: Path, start: str) -> Path | None:
        """The first file of a folder whose name starts with `start`; None if there is none, or no such folder."""
        if folder not in self.known:
            self.known[folder] = sorted(os.listdir(folder)) if folder.is_dir() else []
        return next((folder / name for name in self.known[folder] if name.startswith(start)), None)
