"""ATLAS v2.0, chronic and subacute lesions on T1w in MNI space (Liew et al. 2022, doi:10.1038/s41597-022-01401-7).

Training/R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz
Training/R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym_label-L_desc-T1lesion_mask.nii.gz

Give the folder that holds `Training`, `Training` itself, or one cohort such as `R001`. `Testing` has no masks and is
ignored. Of several masks, the one with `label-L` is used.
"""

from __future__ import annotations

from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.core.scan.nifti import find_images
from strokereg.plugins.readers.common.names import Name, parse_all
from strokereg.registry.options import Options

_PLACES = ("Training/*/", "*/", "")


class AtlasReader:
    """T1w with the lesion mask."""

    class Options(Options):
        """Options for other masks.

        Args:
            label: the `label-` of the mask.
        """

        label: str = "L"

    def __init__(self, options: AtlasReader.Options) -> None:
        self.options = options

    def recognises(self, root: Path) -> bool:
        """Whether there are masks named as in ATLAS."""
        return any(find_images(root, f"{place}sub-*/ses-*/anat/*_desc-T1lesion_mask") for place in _PLACES)

    def read(self, root: Path) -> Source:
        """List the visits that have a T1w image, in MNI space, and at most one mask with the label."""
        names = [n for place in _PLACES for n in parse_all(root.glob(f"{place}sub-*/ses-*/anat/*"))]
        images = {name.case: name for name in names if name.suffix == "t1w"}
        masks: dict[str, list[Path]] = {}
        for name in names:
            if self._is_mask(name):
                masks.setdefault(name.case, []).append(name.path)
        cases, left_out = [], {}
        for case, name in sorted(images.items()):
            found = masks.get(case, [])
            if len(found) > 1:
                left_out[case] = (
                    f"has {len(found)} lesion masks, {found[0].name} and {found[1].name}; remove all but one"
                )
            else:
                cases.append(CaseFiles(case, name.visit[0], {"T1w": name.path}, found[0] if found else None))
        left_out |= {
            str(masks[case][0]): "has no T1w image; download the images of this case"
            for case in masks.keys() - images.keys()
        }
        return Source(cases, left_out=left_out)

    def _is_mask(self, name: Name) -> bool:
        wanted = {"desc": "T1lesion", "label": self.options.label}
        return name.suffix == "mask" and all(name.entities.get(key) == value for key, value in wanted.items())
