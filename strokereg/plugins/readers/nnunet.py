"""A raw data set of nnU-Net, version 1 or 2 (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z).

dataset.json                              channel_names (or modality), labels
imagesTr/stroke_001_0000.nii.gz           channel 0000, 0001, …
labelsTr/stroke_001.nii.gz
"""

from __future__ import annotations

import re
from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.core.scan.nifti import ending_of
from strokereg.plugins.readers.common.channels import DATASET, ChannelOptions, channels_of, read_dataset

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


class NnunetReader:
    """Training cases; `imagesTs` is ignored, because it has no labels."""

    Options = ChannelOptions

    def __init__(self, options: ChannelOptions) -> None:
        self.options = options

    def recognises(self, root: Path) -> bool:
        """Whether there are a `dataset.json` and images with a channel number."""
        return (root / DATASET).is_file() and any(root.glob("imagesTr/*_[0-9][0-9][0-9][0-9].nii*"))

    def read(self, root: Path) -> Source:
        """List the training cases.

        Raises:
            InputError: `dataset.json` is damaged, or no channel is known to be an image.
        """
        channels = channels_of(root, read_dataset(root), self.options)
        first = next(iter(channels))
        images: dict[str, dict[int, Path]] = {}
        for path in sorted(root.glob("imagesTr/*.nii*")):
            fit = _CHANNEL.fullmatch(path.name.removesuffix(ending_of(path) or ""))
            if fit and not path.name.startswith("."):  # macOS leaves ._ files
                images.setdefault(fit["case"], {})[int(fit["channel"])] = path
        cases, left_out = [], {}
        for case, found in sorted(images.items()):
            parts = {kind: found[number] for kind, number in channels.items() if number in found}
            if first not in parts:
                number = f"{channels[first]:04d}"
                left_out[case] = f"has no channel {number}, the {first} image; add imagesTr/{case}_{number}.nii.gz"
                continue
            labels = sorted(root.glob(f"labelsTr/{case}.nii*"))
            cases.append(CaseFiles(case, case, parts, labels[0] if labels else None))
        return Source(cases, left_out=left_out)
