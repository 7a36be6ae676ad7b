"""The public layouts of ISLES'22 (Hernandez Petzsche et al. 2022, doi:10.1038/s41597-022-01875-5).

rawdata/sub-strokecase0001/ses-0001/sub-strokecase0001_ses-0001_dwi.nii.gz (+ _adc, _flair)   the challenge's repository
sub-strokecase0001/ses-0001/dwi/sub-strokecase0001_ses-0001_dwi.nii.gz (+ _adc)           the archive
derivatives/sub-strokecase0001/ses-0001/sub-strokecase0001_ses-0001_msk.nii.gz            both
"""

from __future__ import annotations

from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.plugins.readers.common.names import Name, parse_all
from strokereg.registry.options import Options

_IMAGES = ("rawdata/sub-*/ses-*/*", "sub-*/ses-*/dwi/*", "sub-*/ses-*/anat/*")
_CONTRASTS = ("dwi", "adc", "flair")
_MASKS = "derivatives/sub-*/ses-*/*"


class Isles22Reader:
    """DWI, ADC and FLAIR with an expert's lesion mask, drawn on DWI. FLAIR lies on another grid."""

    def __init__(self, options: Options) -> None:
        pass

    def recognises(self, root: Path) -> bool:
        """Whether there are images and `_msk` files as in the public set of the challenge."""
        return bool(self._masks(root)) and any(name.suffix == "dwi" for name in self._images(root))

    def read(self, root: Path) -> Source:
        """List the cases."""
        images: dict[str, dict[str, Path]] = {}
        subjects: dict[str, str] = {}
        for name in self._images(root):
            if name.suffix in _CONTRASTS:
                images.setdefault(name.case, {}).setdefault(name.suffix, name.path)
                subjects[name.case] = name.visit[0]
        masks = {name.case: name.path for name in self._masks(root)}
        cases = [
            CaseFiles(case, subjects[case], {c: found[c] for c in _CONTRASTS if c in found}, masks.get(case))
            for case, found in sorted(images.items())
            if "dwi" in found
        ]
        known = {case.name for case in cases}
        without_images = {
            str(path): "has no DWI; download the images of this case"
            for case, path in masks.items()
            if case not in known
        }
        return Source(cases, left_out=without_images)

    def _images(self, root: Path) -> list[Name]:
        return parse_all(path for pattern in _IMAGES for path in root.glob(pattern))

    def _masks(self, root: Path) -> list[Name]:
        return [name for name in parse_all(root.glob(_MASKS)) if name.suffix == "msk"]
