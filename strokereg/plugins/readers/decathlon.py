"""A task of the Medical Segmentation Decathlon (Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9).

dataset.json                              modality, labels, training: [{"image": …, "label": …}, …]
imagesTr/stroke_001.nii.gz                4D where there are several channels: they are the last axis
labelsTr/stroke_001.nii.gz
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.core.scan.nifti import ending_of
from strokereg.plugins.readers.channels import DATASET, ChannelOptions, channels_of, read_dataset


class DecathlonReader:
    """The cases that `training` lists."""

    Options = ChannelOptions

    def __init__(self, options: ChannelOptions) -> None:
        self.options = options

    def recognises(self, root: Path) -> bool:
        """True where `dataset.json` lists training pairs whose images are there under these very names."""
        return (root / DATASET).is_file() and any(image.is_file() for image, _ in _pairs(root, read_dataset(root)))

    def read(self, root: Path) -> Source:
        """List the training cases.

        Raises:
            InputError: a damaged `dataset.json`, or no channel that is known to be the DWI.
        """
        said = read_dataset(root)
        channels = channels_of(root, said, self.options)
        several = len(said.get("modality") or said.get("channel_names") or {}) > 1
        cases, left_out = [], {}
        for image, label in sorted(_pairs(root, said)):
            name = image.name.removesuffix(ending_of(image) or "")
            if not image.exists():
                left_out[name] = f"{image} is listed in {DATASET} and is not there; fetch it"
                continue
            images = dict.fromkeys(channels, image) if several else {"dwi": image}
            volumes = channels if several else {}
            cases.append(CaseFiles(name, name, images, label if label and label.exists() else None, volumes=volumes))
        return Source(cases, left_out=left_out)


def _pairs(root: Path, said: dict[str, Any]) -> list[tuple[Path, Path | None]]:
    listed = said.get("training")
    pairs = [pair for pair in listed if isinstance(pair, dict) and "image" in pair] if isinstance(listed, list) else []
    return [(root / str(p["image"]), root / str(p["label"]) if p.get("label") else None) for p in pairs]
