"""The Stroke Outcome Optimization Project (Absher et al. 2024, doi:10.1038/s41597-024-03667-5), OpenNeuro ds004889.

sub-1/dwi/sub-1_rec-TRACE_dwi.nii.gz (+ _rec-ADC_dwi)   sub-1/anat/sub-1_FLAIR.nii.gz
derivatives/<any>/sub-1/dwi/sub-1_space-TRACE_desc-lesion_mask.nii.gz         acute and chronic lesions
derivatives/<any>/sub-1/dwi/sub-1_space-TRACE_desc-lesionAcute_mask.nii.gz    where they differ

This is BIDS, but with several masks. The acute one is used, and `desc-lesion` where there is no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from strokereg.core.scan.nifti import find_images
from strokereg.plugins.readers.bids import BidsReader
from strokereg.plugins.readers.common.names import Name

_ACUTE = "lesionacute"


class SoopReader(BidsReader):
    """DWI (TRACE), ADC and FLAIR with the mask of the acute lesion."""

    def recognises(self, root: Path) -> bool:
        """Whether it is BIDS with masks of acute lesions, as in this data set."""
        places = (f"derivatives/*/sub-*/{place}*_desc-lesionAcute_mask" for place in ("*/", "ses-*/*/"))
        return any(find_images(root, place) for place in places) and super().recognises(root)

    def _mask(self, names: Sequence[Name]) -> Path | None:
        kinds = {kind: [n for n in names if n.entities.get("desc", "").lower() == kind] for kind in (_ACUTE, "lesion")}
        return super()._mask(kinds[_ACUTE] or kinds["lesion"])
