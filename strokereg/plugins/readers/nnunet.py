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
from strokereg.core.scan.nifti import ending_of, find_images, without_ending
from strokereg.plugins.readers.common.channels import DATASET, ChannelOptions, channels_of, read_dataset

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


class NnunetReader:
    """Training cases; `imagesTs` is ignored, because it has no labels."""

    Options = ChannelOptions

    def __init__(self, options: ChannelOptions) -> None:
        self.options = options

    def recognises(self, root: Path) -> bool:
        """Whether there are a `dataset.json` and images with a channel number."""
        return (root / DATASET).is_file() and bool(find_images(root, f"imagesTr/*_{4 * '[0-9]'}"))

    def read(self, root: Path) -> Source:
        """List the training cases.

        Raises:
            InputError: `dataset.json` is damaged, or no channel is known to be an image.
        """
        channels = channels_of(root, read_dataset(root), self.options)
        first = next(iter(channels))
        images: dict[str, dict[int, Path]] = {}
        cases, left_out = [], {}
        for path in find_images(root, "imagesTr/*"):
            if fit := _CHANNEL.fullmatch(without_ending(path)):
                other = images.setdefault(fit["case"], {}).setdefault(int(fit["channel"]), path)
                if other != path:
                    left_out[fit["case"]] = f"has {other.name} and {path.name} for one channel; remove one of them"
        labels = {without_ending(path): path for path in reversed(find_images(root, "labelsTr/*"))}
        for case, found in sorted(images.items()):
            if case in left_out:
                continue
            parts = {kind: found[number] for kind, number in channels.items() if number in found}
            if first not in parts:
                number = f"{channels[first]:04d}"
                left_out[case] = f"has no channel {number}, the {first} image; add imagesTr/{case}_{number}.nii.gz"
                continue
            cases.append(CaseFiles(case, case, parts, labels.get(case)))
        for name in sorted(labels.keys() - images.keys()):
            ending = ending_of(labels[name])
            left_out[str(labels[name])] = f"is the label of no case; name it as its image without _0000: CASE{ending}"
        return Source(cases, left_out=left_out)
