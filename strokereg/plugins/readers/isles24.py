"""The public layout of ISLES'24 (Riedel et al. 2024, arXiv 2408.11142): follow-up MRI with the final infarct.

train/derivatives/sub-stroke0001/ses-02/sub-stroke0001_ses-02_space-ncct_dwi.nii.gz (+ _adc, _lesion-msk)
train/raw_data/sub-stroke0001/ses-02/sub-stroke0001_ses-02_dwi.nii.gz (+ _adc)

Give the folder that holds `derivatives`, or the one above it. Infarct masks are in the space of the CT, so the images
in that space are used. If a mask is on the grid of the raw images, as in the first release, the raw images are used.
"""

from __future__ import annotations

from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.plugins.readers.common.names import Name, parse_all, parse_name
from strokereg.registry.options import Options

_FOLLOW_UP = "ses-*2"  # ses-02 in the releases, ses-0002 in their description


class Isles24Reader:
    """DWI and ADC of the follow-up visit, and the infarct mask."""

    def __init__(self, options: Options) -> None:
        pass

    def recognises(self, root: Path) -> bool:
        """Whether there are infarct masks in follow-up sessions."""
        found = (path for top in _tops(root) for path in top.glob(f"derivatives/sub-*/{_FOLLOW_UP}/*"))
        return any((name := parse_name(path)) is not None and name.suffix == "lesion-msk" for path in found)

    def read(self, root: Path) -> Source:
        """List the cases."""
        cases, left_out = [], {}
        for top in _tops(root):
            derived = parse_all(top.glob(f"derivatives/sub-*/{_FOLLOW_UP}/*"))
            raw = parse_all(top.glob(f"raw_data/sub-*/{_FOLLOW_UP}/*"))
            for case in sorted({name.case for name in derived}):
                mask = _first(derived, case, "lesion-msk", "ncct") or _first(derived, case, "lesion-msk", None)
                if mask is None:
                    continue
                space = mask.entities.get("space")
                pool = derived if space else [*derived, *raw]
                images = {kind: found.path for kind in ("dwi", "adc") if (found := _first(pool, case, kind, space))}
                if "dwi" in images:
                    cases.append(CaseFiles(case, mask.visit[0], images, mask.path))
                else:
                    left_out[str(mask.path)] = "has no DWI in its space; download the follow-up images of this case"
        return Source(cases, left_out=left_out)


def _tops(root: Path) -> list[Path]:
    return [root, *sorted(path for path in root.glob("*") if (path / "derivatives").is_dir() and path != root)]


def _first(names: list[Name], case: str, suffix: str, space: str | None) -> Name | None:
    fitting = (n for n in names if n.case == case and n.suffix == suffix and n.entities.get("space") == space)
    return next(fitting, None)
