"""The cohort that the package brings: real FLAIR slices of the SOOP data set, and lesion masks of other patients.

The archive is compact. It is unpacked once, into a BIDS cohort and a folder of masks, so that everything that works on
a user's cohort works on it. Source, licence and citation lie beside the archive.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strokereg.core.cohort.folder import EMBEDDED, SideFiles, close_folder, describe
from strokereg.core.cohort.labels import TISSUES
from strokereg.core.cohort.split import SPLIT_FILE, Split
from strokereg.core.scan.nifti import write_volume
from strokereg.core.storage.files import replacing, write_text
from strokereg.registry.errors import InputError

_HOME = Path(__file__).with_name("soop_flair")
ARCHIVE = _HOME / "slices.npz"
#: Cases of each part, in the archive's order; the masks of the last come without images.
PARTS = {"train": 50, "val": 30, "test": 220, "masks": 300}
#: Raised with every change of the archive or of how it is unpacked.
VERSION = 1
NAME = f"soop-flair-r{VERSION}"
CONTRASTS = ("FLAIR",)
_ABOUT = (
    "Real patients, one axial FLAIR slice each (MNI z = 18 mm); the expert masks were drawn on DWI. Source: SOOP, "
    "OpenNeuro ds004889, CC0; Absher et al. 2024, doi:10.1038/s41597-024-03667-5."
)
_STEM = "space-MNI152NLin6Asym"
_AREA = "slice_lesion_mm2"


@dataclass(frozen=True)
class Embedded:
    """The unpacked data.

    Attributes:
        cohort: BIDS cohort with split, lesion masks and tissue label maps.
        masks: folder of lesion masks in MNI space, of patients who are not in the cohort.
    """

    cohort: Path
    masks: Path


def pack(
    path: Path,
    subjects: Sequence[str],
    images: np.ndarray,
    masks: np.ndarray,
    labels: np.ndarray,
    affine: np.ndarray,
) -> None:
    """Write the archive: the same bytes from the same data.

    Args:
        path: the archive.
        subjects: all N, in the order of `PARTS`.
        images, labels: uint8 [n, X, Y], of those with an image.
        masks: bool [N, X, Y].
        affine: 4×4, of every slice.
    """
    arrays = {
        "subjects": np.array(subjects),
        "images": images,
        "labels": labels,
        "masks": np.packbits(masks, axis=-1),
        "affine": affine,
    }
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # without the time of day
            entry.compress_type = zipfile.ZIP_LZMA
            with archive.open(entry, "w") as handle:
                np.lib.format.write_array(handle, np.ascontiguousarray(array), allow_pickle=False)


def unpack(folder: Path, on_case: Callable[[int, int], None] = lambda done, total: None) -> Embedded:
    """Unpack the embedded data, unless an earlier call did.

    Args:
        folder: where it goes, as `folder/soop-flair-r1`.
        on_case: called with (finished, total) after each case.

    Raises:
        InputError: the folder cannot be written.
    """
    place = folder / NAME
    found = _at(place)
    if place.is_dir():
        return found
    working = folder / f".{NAME}-{os.getpid()}"
    try:
        shutil.rmtree(working, ignore_errors=True)
        _write(_at(working), on_case)
        try:
            working.rename(place)
        except OSError:
            if not place.is_dir():  # else another process was faster
                raise
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); set STROKEREG_CACHE to a folder") from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return found


def _at(place: Path) -> Embedded:
    return Embedded(place / "soop-flair", place / "soop-flair-masks")


def _write(to: Embedded, on_case: Callable[[int, int], None]) -> None:
    with np.load(ARCHIVE, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    subjects = [str(subject) for subject in arrays["subjects"]]
    images, labels, affine = arrays["images"], arrays["labels"], arrays["affine"]
    masks = np.unpackbits(arrays["masks"], axis=-1, count=images.shape[-1])
    derived = Path("derivatives") / "strokereg"
    to.masks.mkdir(parents=True)
    for index, subject in enumerate(subjects):
        stem = f"{subject}_{_STEM}"
        if index >= len(images):
            write_volume(to.masks / f"{stem}_desc-lesion_mask.nii.gz", masks[index, :, :, None], affine)
        else:
            image, other = to.cohort / subject / "anat", to.cohort / derived / subject / "anat"
            image.mkdir(parents=True)
            other.mkdir(parents=True)
            write_volume(image / f"{stem}_FLAIR.nii.gz", images[index, :, :, None], affine)
            write_volume(other / f"{stem}_dseg.nii.gz", labels[index, :, :, None], affine)
            write_volume(other / f"{stem}_desc-lesion_mask.nii.gz", masks[index, :, :, None], affine)
        on_case(index + 1, len(subjects))
    ends = np.cumsum(list(PARTS.values()))
    train, val, test, _ = np.split(np.array(subjects), ends[:-1])
    Split(*(tuple(map(str, part)) for part in (train, val, test))).write(to.cohort / SPLIT_FILE)
    area = abs(np.linalg.det(affine[:2, :2]))
    rows = [[s, f"{m.sum() * area:g}"] for s, m in zip(subjects[: len(images)], masks[: len(images)], strict=True)]
    columns = {_AREA: "Area of the lesion in the slice in mm²"}
    for name in ("README.md", "LICENSE"):
        write_text(to.cohort / f"SOURCE-{name}", (_HOME / name).read_text(encoding="utf-8"))
    description = describe("SOOP, one axial FLAIR slice a patient", EMBEDDED, {"version": VERSION}, _ABOUT)
    close_folder(to.cohort, description, SideFiles(columns, rows, _ABOUT, derived, TISSUES))
