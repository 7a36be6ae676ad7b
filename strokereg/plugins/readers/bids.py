"""BIDS: raw images, with lesion masks and label maps of the same visits under `derivatives`.

dataset_description.json
sub-01/[ses-1/]dwi/sub-01_dwi.nii.gz          or _rec-TRACE_dwi (SOOP), or _trace
sub-01/[ses-1/]dwi/sub-01_ADC.nii.gz          or _adc, or _rec-ADC_dwi
sub-01/[ses-1/]anat/sub-01_FLAIR.nii.gz       or _T1w, _T2w, …
derivatives/<any>/sub-01/[ses-1/]<any>/sub-01_space-TRACE_desc-lesion_mask.nii.gz     `lesion`, `stroke` or `infarct`
derivatives/<any>/sub-01/[ses-1/]<any>/sub-01_dseg.nii.gz    and derivatives/<any>/dseg.tsv

A mask whose JSON file says `"Type": "Lesion"` is a lesion mask, too. Lesion masks may lie beside the raw images, as
fMRIPrep wants them. Masks and maps in the space of a template (`space-MNI…`) are used only if the images are in that
space. From a 4D image with a `.bval` file, the volume with the highest b-value is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from filecmp import cmp
from fnmatch import fnmatchcase
from pathlib import Path

from strokereg.core.cohort import layout
from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.core.scan.bvalues import strongest_volume
from strokereg.core.scan.contrasts import ANATOMICAL, contrast_of, read_sidecar
from strokereg.core.storage.search import search
from strokereg.plugins.readers.common.names import Name, parse_all, parse_name
from strokereg.registry.options import Options

_RAW = tuple(f"{visit}/{kind}/*" for visit in ("sub-*", "sub-*/ses-*") for kind in ("dwi", "anat"))
_LESION = re.compile("lesion|stroke|infarct", re.IGNORECASE)


class BidsReader:
    """Raw data and derivatives, matched by subject and session."""

    class Options(Options):
        """Options for visits with several files of a kind.

        Args:
            dwi, anat, mask, dseg: shell patterns that the name of a DWI, anatomical image, lesion mask or label map
                must match.
            derivatives: folder of the derivatives; None for `derivatives` in the dataset.
        """

        dwi: str = "*"
        anat: str = "*"
        mask: str = "*"
        dseg: str = "*"
        derivatives: Path | None = None

    def __init__(self, options: BidsReader.Options) -> None:
        self.options = options

    def recognises(self, root: Path) -> bool:
        """Whether the folder has a BIDS description, and diffusion or anatomical images."""
        return (root / layout.DESCRIPTION).is_file() and any(True for _ in _raw(root))

    def read(self, root: Path) -> Source:
        """List the visits that have a DWI; in a dataset without any DWI, those that have an anatomical image.

        An anatomical contrast is left out of a visit with DWI that has several files of it.
        """
        names = list(_raw(root))
        has_dwi = any(_is_diffusion(name) for name in names)
        visits = _by_case(names)
        derived, left_out = self._derived(root, visits)
        cases = []
        for case, raw in sorted(visits.items()):
            try:
                images, volumes = self._images(raw)
                if not images or (has_dwi and "dwi" not in images):
                    continue
                first = next(iter(images.values()))
                fitting = [name for name in derived.get(case, []) if _in_space_of(name, first)]
                mask = self._mask([name for name in fitting if _is_lesion(name)])
                dseg = self._dseg([name for name in fitting if name.suffix == "dseg"])
            except ValueError as error:
                left_out[case] = str(error)
                continue
            subject = first.visit[0]
            paths = {contrast: name.path for contrast, name in images.items()}
            cases.append(CaseFiles(case, subject, paths, mask, dseg, volumes))
        return Source(cases, layout.table_path(root), left_out)

    def _derived(
        self, root: Path, visits: Mapping[str, Sequence[Name]]
    ) -> tuple[dict[str, list[Name]], dict[str, str]]:
        """Masks and maps of each visit, and lesion masks of no visit → the reason.

        A file that names no session belongs to the only session of its subject.
        """
        top = self.options.derivatives or root / "derivatives"
        derived = _by_case(
            [*parse_all(search(top, "**/sub-*")), *(n for p in _RAW for n in parse_all(root.glob(p)) if _is_lesion(n))]
        )
        sessions: dict[str, list[str]] = {}
        for case, raw in visits.items():
            sessions.setdefault(raw[0].visit[0], []).append(case)
        lost = {}
        for case in derived.keys() - visits.keys():
            found = sessions.get(case, [])  # a key without session is the subject itself
            if len(found) == 1:
                derived.setdefault(found[0], []).extend(derived[case])
                continue
            for name in filter(_is_lesion, derived[case]):
                why = f"belongs to one of {len(found)} sessions, but does not name it" if found else "has no image"
                fix = "add it to the name" if found else f"add the images of {case}, or correct the name"
                lost[str(name.path)] = f"{why}; {fix}"
        return derived, lost

    def _images(self, raw: Sequence[Name]) -> tuple[dict[str, Name], dict[str, int]]:
        """The images of a visit, the one that defines the grid first, and the volumes of 4D files."""
        diffusion = [name for name in raw if _is_diffusion(name)]
        adc = [n for n in diffusion if n.suffix == "adc" or n.entities.get("rec", "").lower() == "adc"]
        dwi = [name for name in diffusion if name not in adc]
        trace = [name for name in dwi if name.suffix == "trace" or "trace" in "".join(name.entities.values()).lower()]
        dwi = [name for name in trace or dwi if fnmatchcase(name.path.name, self.options.dwi)]
        images, volumes = {}, {}
        if dwi:
            images["dwi"] = _only(dwi, "DWI", "dwi")
            volume = strongest_volume(images["dwi"].path)
            volumes = {} if volume is None else {"dwi": volume}
            images |= {"adc": adc[0]} if adc else {}
        for contrast in ANATOMICAL:
            found = [n for n in raw if contrast_of(n.path) == contrast and fnmatchcase(n.path.name, self.options.anat)]
            if len(found) == 1 or (found and not dwi):
                images[contrast] = _only(found, contrast, "anat")
        return images, volumes

    def _mask(self, names: Sequence[Name]) -> Path | None:
        """The one lesion mask of a visit; copies of one file count as one."""
        fitting = [name for name in names if fnmatchcase(name.path.name, self.options.mask)]
        if fitting and all(cmp(fitting[0].path, name.path, shallow=False) for name in fitting[1:]):
            return fitting[0].path
        return _only(fitting, "lesion mask", "mask").path if fitting else None

    def _dseg(self, names: Sequence[Name]) -> Path | None:
        """The one label map of a visit. One without `desc`, as tissues have it, is taken before others."""
        fitting = [name for name in names if fnmatchcase(name.path.name, self.options.dseg)]
        plain = [name for name in fitting if "desc" not in name.entities]
        return _only(plain or fitting, "label map", "dseg").path if fitting else None


def _raw(root: Path) -> Iterable[Name]:
    """The images that BIDS keeps in `dwi` and `anat`."""
    for pattern in _RAW:
        for path in sorted(root.glob(pattern)):
            name = parse_name(path) if not path.name.startswith(".") else None
            if name and (_is_diffusion(name) or contrast_of(path) in ANATOMICAL):
                yield name


def _by_case(names: Iterable[Name]) -> dict[str, list[Name]]:
    grouped: dict[str, list[Name]] = {}
    for name in names:
        grouped.setdefault(name.case, []).append(name)
    return grouped


def _is_diffusion(name: Name) -> bool:
    return name.path.parent.name == "dwi" and name.suffix in ("dwi", "trace", "adc")


def _in_space_of(name: Name, image: Name) -> bool:
    """Whether a mask or map may fit an image: it is in the same space, or in none of a template."""
    space = name.entities.get("space", "")
    in_template = space.upper().startswith(("MNI", "FSAVERAGE", "TALAIRACH"))
    return not in_template or space == image.entities.get("space", "")


def _is_lesion(name: Name) -> bool:
    if name.suffix in ("mask", "msk", "roi"):
        labels = "".join(name.entities.get(key, "") for key in ("desc", "label"))
        return bool(_LESION.search(labels or str(read_sidecar(name.path).get("Type", ""))))
    return name.suffix in ("lesion", "lesion-msk")


def _only(names: Sequence[Name], what: str, option: str) -> Name:
    if len(names) > 1:
        files = " and ".join(name.path.name for name in names[:3])
        raise ValueError(f"has {len(names)} files for its {what}, {files}; choose with --set {option}=PATTERN")
    return names[0]
