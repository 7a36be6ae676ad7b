"""The files that every format writes: images with their own bytes, and the table of where each case comes from."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.exporting.choose import Choice
from strokereg.core.scan.content import open_image
from strokereg.core.scan.nifti import ENDINGS, write_volume
from strokereg.core.scan.series import read_image
from strokereg.core.storage.files import copy_or_link, write_text

ENDING = ".nii.gz"
ORIGINS = "cases.tsv"
_GZIP = b"\x1f\x8b"


def place_image(files: CaseFiles, part: str, target: Path, link: bool) -> None:
    """Copy or link an image of a case to a name that ends in `.nii.gz`. One that is not compressed is compressed.

    Only a file of another format, or a volume of a 4D file, is written anew.

    Args:
        part: a contrast, `mask` or `dseg`.

    Raises:
        FileFault: the file cannot be read or copied.
    """
    path = files.parts[part]
    if not path.name.lower().endswith(ENDINGS) or len(open_image(path).image.shape) > 3:
        volume = read_image(path, part, files.volumes.get(part))
        data = volume.data if part in files.images else volume.data.astype(np.uint8)
        write_volume(target, data, volume.affine, volume.in_mni)
        return
    source = path.resolve()
    with source.open("rb") as handle:
        compressed = handle.read(2) == _GZIP
    if compressed:
        copy_or_link(source, target, link)
    else:
        with target.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as handle:
            handle.write(source.read_bytes())


def write_origins(folder: Path, choice: Choice) -> None:
    """Write `cases.tsv`: case, part, and the cohort and name that it has there."""
    rows = [
        f"{case.name}\t{case.part}\t{case.cohort.root.resolve().name}\t{case.files.name}\n" for case in choice.cases
    ]
    write_text(folder / ORIGINS, "case\tsplit\tcohort\tname\n" + "".join(rows))
