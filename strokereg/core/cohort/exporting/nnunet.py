"""A raw data set of nnU-Net v2 (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z).

dataset.json                                           channel_names, labels, numTraining, file_ending
splits_final.json                                      one fold: the split of the cohort
imagesTr/sub-1_0000.nii.gz   labelsTr/sub-1.nii.gz     training and validation cases; channels 0000, 0001, …
imagesTs/sub-9_0000.nii.gz   labelsTs/sub-9.nii.gz     test cases
cases.tsv                                              where each case comes from
"""

from __future__ import annotations

import re
from pathlib import Path

from strokereg.core.cohort.exporting.choose import Choice, ExportCase
from strokereg.core.cohort.exporting.files import ENDING, place_image, write_origins
from strokereg.core.storage.files import write_json
from strokereg.registry.errors import InputError

SPLITS = "splits_final.json"


def check_name(out: Path) -> None:
    """Refuse a folder that nnU-Net would not find.

    Raises:
        InputError: its name is not `DatasetNNN_NAME`.
    """
    if not re.fullmatch(r"Dataset\d{3}_\w+", out.name):
        raise InputError(
            f"--out {out}: nnU-Net needs a folder named DatasetNNN_NAME; give for example Dataset101_stroke"
        )


def begin(folder: Path, choice: Choice) -> None:
    """Make the folders of the cases."""
    for group in ("Tr", "Ts") if choice.parts["test"] else ("Tr",):
        (folder / f"images{group}").mkdir()
        (folder / f"labels{group}").mkdir()


def write_case(folder: Path, case: ExportCase, choice: Choice, link: bool) -> None:
    """Write the channels and the lesion mask of a case."""
    group = "Ts" if case.part == "test" else "Tr"
    for number, channel in enumerate(choice.channels):
        place_image(case.files, channel, folder / f"images{group}" / f"{case.name}_{number:04d}{ENDING}", link)
    if case.files.mask is not None:
        place_image(case.files, "mask", folder / f"labels{group}" / f"{case.name}{ENDING}", link)


def finish(folder: Path, choice: Choice, out: Path) -> list[str]:
    """Write the description and the split; returns what the user should know.

    nnU-Net gets the reader of its own that, like ours, takes the affine as nibabel gives it: SimpleITK refuses affines
    with rounded directions.
    """
    train, val = ([case.name for case in choice.parts[part]] for part in ("train", "val"))
    description = {
        "name": out.name.partition("_")[2],
        "channel_names": {str(number): channel for number, channel in enumerate(choice.channels)},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": len(train) + len(val),
        "file_ending": ENDING,
        "overwrite_image_reader_writer": "NibabelIO",
    }
    write_origins(folder, choice)
    write_json(folder / "dataset.json", description)
    if not choice.has_split:
        return ["the cohort has no split, so nnU-Net will make its own five folds"]
    write_json(folder / SPLITS, [{"train": train, "val": val}])
    return [f"copy {SPLITS} to nnUNet_preprocessed/{out.name} before training, and train fold 0"]
