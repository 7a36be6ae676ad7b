"""BIDS: raw diffusion images, with lesion masks and label maps of the same visits under `derivatives`.

dataset_description.json
sub-01/[ses-1/]dwi/sub-01_dwi.nii.gz          or _rec-TRACE_dwi (SOOP), or _trace
sub-01/[ses-1/]dwi/sub-01_ADC.nii.gz          or _adc, or _rec-ADC_dwi
derivatives/<any>/sub-01/[ses-1/]<any>/sub-01_space-TRACE_desc-lesion_mask.nii.gz     `lesion`, `stroke` or `infarct`
derivatives/<any>/sub-01/[ses-1/]<any>/sub-01_dseg.nii.gz    and derivatives/<any>/dseg.tsv

Files in the space of a template (`space-MNI…`) are ignored. From a 4D image with a `.bval` file, the volume with the
highest b-value is used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from strokereg.core.cohort import layout
from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.core.scan.bvalues import strongest_volume
from strokereg.plugins.readers.names import Name, parse_all, parse_name
from strokereg.registry.options import Options

_RAW = ("sub-*/dwi/*", "sub-*/ses-*/dwi/*")
_LESION = re.compile("lesion|stroke|infarct", re.IGNORECASE)


class BidsReader:
    """Raw data and derivatives, matched by subject and session."""

    class Options(Options):
        """Options for visits with several files of a kind.

        Args:
            dwi, mask: shell patterns that the file name must match.
        """

        dwi: str = "*"
        mask: str = "*"

    def __init__(self, options: BidsReader.Options) -> None:
        self.options = options

    def recognises(self, root: Path) -> bool:
        """Whether the folder has a BIDS description and diffusion images."""
        raw = (path for pattern in _RAW for path in root.glob(pattern))
        return (root / layout.DESCRIPTION).is_file() and any(parse_name(path) for path in raw)

    def read(self, root: Path) -> Source:
        """List the visits that have a DWI."""
        raw = _by_case(parse_all(path for pattern in _RAW for path in root.glob(pattern)))
        derived = _by_case(n for n in parse_all(root.glob("derivatives/**/sub-*")) if not _in_template(n))
        cases, left_out = [], {}
        for case, names in sorted(raw.items()):
            try:
                found = self._case(case, names, derived.get(case, []))
            except ValueError as error:
                left_out[case] = str(error)
            else:
                if found:
                    cases.append(found)
        return Source(cases, layout.table_path(root), left_out)

    def _case(self, case: str, raw: Sequence[Name], derived: Sequence[Name]) -> CaseFiles | None:
        adc = [name for name in raw if name.suffix.lower() == "adc" or name.entities.get("rec", "").lower() == "adc"]
        dwi = [name for name in raw if name.suffix in ("dwi", "trace") and name not in adc]
        trace = [name for name in dwi if name.suffix == "trace" or "trace" in "".join(name.entities.values()).lower()]
        dwi = [name for name in trace or dwi if fnmatchcase(name.path.name, self.options.dwi)]
        if not dwi:
            return None
        chosen = _only(dwi, "DWI", "dwi")
        masks = [n for n in derived if _is_lesion(n) and fnmatchcase(n.path.name, self.options.mask)]
        exact = [n for n in masks if n.entities.get("desc", "").lower() == "lesion"]
        dsegs = [n for n in derived if n.suffix == "dseg"]
        images = {"dwi": chosen.path} | ({"adc": adc[0].path} if adc else {})
        volume = strongest_volume(chosen.path)
        return CaseFiles(
            case,
            chosen.visit[0],
            images,
            _only(exact or masks, "lesion mask", "mask").path if masks else None,
            dsegs[0].path if dsegs else None,
            {} if volume is None else {"dwi": volume},
        )


def _by_case(names) -> dict[str, list[Name]]:  # type: ignore[no-untyped-def]
    grouped: dict[str, list[Name]] = {}
    for name in names:
        grouped.setdefault(name.case, []).append(name)
    return grouped


def _in_template(name: Name) -> bool:
    return name.entities.get("space", "").upper().startswith(("MNI", "FSAVERAGE", "TALAIRACH"))


def _is_lesion(name: Name) -> bool:
    labels = "".join(name.entities.get(key, "") for key in ("desc", "label"))
    return bool(name.suffix in ("mask", "msk", "roi") and _LESION.search(labels)) or name.suffix in (
        "lesion",
        "lesion-msk",
    )


def _only(names: Sequence[Name], what: str, option: str) -> Name:
    if len(names) > 1:
        files = " and ".join(name.path.name for name in names[:3])
        raise ValueError(f"has {len(names)} files for its {what}, {files}; choose with --set {option}=PATTERN")
    return names[0]
