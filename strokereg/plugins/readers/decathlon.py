"""A task of the Medical Segmentation Decathlon (Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9).

dataset.json                              modality, labels, training: [{"image": …, "label": …}, …]
imagesTr/stroke_001.nii.gz                4D if there are several channels, which are the last axis
labelsTr/stroke_001.nii.gz
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.core.scan.nifti import without_ending
from strokereg.plugins.readers.common.channels import DATASET, ChannelOptions, channels_of, read_dataset


class DecathlonReader:
    """The cases listed under `training`."""

    Options = ChannelOptions

    def __init__(self, options: ChannelOptions) -> None:
        self.options = options

    def recognises(self, root: Path) -> bool:
        """Whether `dataset.json` lists training pairs and their images exist."""
        return (root / DATASET).is_file() and any(_is_there(image) for image, _ in _pairs(root, read_dataset(root)))

    def read(self, root: Path) -> Source:
        """List the training cases.

        Raises:
            InputError: `dataset.json` is damaged, or no channel is known to be an image.
        """
        dataset = read_dataset(root)
        channels = channels_of(root, dataset, self.options)
        several = len(dataset.get("modality") or dataset.get("channel_names") or {}) > 1
        cases, left_out = [], {}
        for image, label in sorted(_pairs(root, dataset)):
            name = without_ending(image)
            if not _is_there(image):
                left_out[name] = f"{image} is listed in {DATASET}, but does not exist; download it"
                continue
            images = dict.fromkeys(channels, image) if several else {next(iter(channels)): image}
            volumes = channels if several else {}
            cases.append(CaseFiles(name, name, images, label if label and _is_there(label) else None, volumes=volumes))
        return Source(cases, left_out=left_out)


def _is_there(path: Path) -> bool:
    """True for a file, and for a link whose file is to be fetched, which reading it says."""
    return path.is_file() or path.is_symlink()


def _pairs(root: Path, dataset: dict[str, Any]) -> list[tuple[Path, Path | None]]:
    listed = dataset.get("training")
    pairs = [pair for pair in listed if isinstance(pair, dict) and "image" in pair] if isinstance(listed, list) else []
    return [(root / str(p["image"]), root / str(p["label"]) if p.get("label") else None) for p in pairs]
