"""strokereg's own layout: BIDS images, with label maps and lesion masks under derivatives.

dataset_description.json   participants.tsv   split.tsv
sub-0001/dwi/sub-0001_dwi.nii.gz  (+ _adc.nii.gz)                  with sessions: sub-0001/ses-1/dwi/…
sub-0001/anat/sub-0001_FLAIR.nii.gz  (or _T1w, _T2w, …)            in a space: sub-0001_space-MNI152NLin6Asym_FLAIR
derivatives/<name>/dseg.tsv
derivatives/<name>/sub-0001/dwi/sub-0001_dseg.nii.gz, sub-0001_desc-lesion_mask.nii.gz

Label map and mask lie in the folder of one of the images, and are named alike.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.contrasts import contrast_of, in_order, stem_of
from strokereg.core.scan.nifti import READ, find_images, without_ending
from strokereg.registry.errors import FileFault

DESCRIPTION, PARTICIPANTS, TABLE = "dataset_description.json", "participants.tsv", "dseg.tsv"


def recognises(root: Path) -> bool:
    """True if the folder has a BIDS description."""
    return (root / DESCRIPTION).is_file()


def list_cases(root: Path) -> list[CaseFiles]:
    """List the cases that have a DWI, by name; if there is no DWI at all, those with another image but an ADC map.

    Raises:
        FileFault: an image that is there twice, with two endings.
    """
    visits: dict[str, dict[str, Path]] = {}
    for kind in ("dwi", "anat"):
        for path in [*find_images(root, f"sub-*/{kind}/*"), *find_images(root, f"sub-*/ses-*/{kind}/*")]:
            if contrast := contrast_of(path):
                name = "_".join(part for part in stem_of(path).split("_") if not part.startswith("space-"))
                other = visits.setdefault(name, {}).setdefault(contrast, path)
                if other != path and without_ending(other) == without_ending(path):
                    raise FileFault(path, f"lies beside {other.name}", "remove one of the two")
    with_dwi = {name: images for name, images in visits.items() if "dwi" in images}
    look = _Names()
    derived = sorted((root / "derivatives").glob("*")) if (root / "derivatives").is_dir() else []
    cases = []
    for name, found in sorted((with_dwi or visits).items()):
        images = {contrast: found[contrast] for contrast in in_order(found)}
        if list(images) == ["adc"]:
            continue
        places = dict.fromkeys((path.parent.relative_to(root), stem_of(path)) for path in images.values())
        masks, dsegs = (
            [there for at, stem in places for d in derived if (there := look.find(d / at, f"{stem}_{part}"))]
            for part in ("desc-lesion_mask", "dseg")
        )
        cases.append(
            CaseFiles(
                name=name,
                subject=name.split("_")[0],
                images=images,
                mask=masks[0] if masks else None,
                dseg=dsegs[0] if dsegs else None,
            )
        )
    return cases


def is_plain(cases: Iterable[CaseFiles]) -> bool:
    """True if all names consist of subject and session, as in this layout; other BIDS datasets have more entities."""
    return all(re.fullmatch(r"sub-[^_]+(_ses-[^_]+)?", case.name) for case in cases)


def table_path(root: Path) -> Path | None:
    """The label table beside the label maps, or None."""
    found = sorted(root.glob(f"derivatives/*/{TABLE}"))
    return found[0] if found else None


def folder_of(subject: str, session: str | None, kind: str = "dwi") -> Path:
    """Folder of the files of one kind (`dwi` or `anat`) of one visit, below the cohort and below each derivative."""
    return Path(subject, session, kind) if session else Path(subject, kind)


class _Names:
    """Names in folders. Each folder is listed once, as a glob for each case would be slow in large cohorts."""

    def __init__(self) -> None:
        self.known: dict[Path, set[str]] = {}

    def find(self, folder: Path, name: str) -> Path | None:
        """The image of a folder with that name but for its ending; None if there is none, or no such folder."""
        if folder not in self.known:
            self.known[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
        return next((folder / (name + end) for end in READ if name + end in self.known[folder]), None)
