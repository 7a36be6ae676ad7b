"""Names of image contrasts. A contrast has the name of its BIDS suffix: dwi, adc, FLAIR, T1w."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from strokereg.core.scan.nifti import without_ending
from strokereg.core.storage.files import read_json
from strokereg.registry.errors import InputError, did_you_mean

#: Diffusion-weighted images, which may be one volume of a series.
WEIGHTED = ("dwi", "trace")
#: Diffusion images and maps, which BIDS keeps in `dwi/`.
DIFFUSION = (*WEIGHTED, "adc")
#: Anatomical images, which BIDS keeps in `anat/`.
ANATOMICAL = ("FLAIR", "T1w", "T2w", "T2starw", "PDw", "swi", "T1map", "T2map", "UNIT1", "angio")
CONTRASTS = (*DIFFUSION, *ANATOMICAL)
#: Words of a sequence's name → contrast. The first that fits counts: a FLAIR may be called t2_flair, an ADC dwi_ADC.
_SERIES = {
    "FLAIR": "flair|dark.?fluid",
    "adc": "adc|apparent.diffusion.*",
    "dwi": "dwi|diff|trace[w]?|diffusion",
    "T1w": "t1w?|mp2?rage|bravo",
    "T2w": "t2w?",
}
#: A contrast that the names of another one may mention: an ADC may be called dwi_ADC.
_KINDS_OF = {"dwi": "adc", "T2w": "FLAIR"}
#: Suffixes of images that no model takes → what they are.
_OTHERS = {
    **dict.fromkeys(("mask", "msk", "lesion-msk", "lesion", "lesions", "seg", "roi"), "a mask"),
    **dict.fromkeys(("dseg", "label", "labels", "aseg", "probseg"), "a label map"),
    **dict.fromkeys(("fa", "colfa", "s0map", "b0", "bold", "cbf", "cbv", "mtt", "tmax", "ct", "cta", "ctp"), ""),
}
_OTHERS |= {suffix: suffix.upper() for suffix, name in _OTHERS.items() if not name}
#: DICOM image type in a sidecar → what the image is.
_IMAGE_TYPES = {"ADC": "adc", "TRACEW": "dwi", "FA": "FA", "B0": "b = 0", "TENSOR": "a tensor"}
_BY_LOWER = {name.lower(): name for name in CONTRASTS}


def canonical(name: str) -> str:
    """A contrast as BIDS writes it: `flair` becomes `FLAIR`.

    Raises:
        InputError: an unknown contrast.
    """
    found = _BY_LOWER.get(name.lower())
    if found is None:
        hint = did_you_mean(name, CONTRASTS)
        raise InputError(f"no image contrast {name!r}{hint}; the contrasts are {', '.join(CONTRASTS)}")
    return found


def canonical_channels(names: Iterable[str]) -> tuple[str, ...]:
    """The names of some contrasts as BIDS writes them, in the same order.

    Raises:
        InputError: none at all, an unknown contrast, or one that is named twice.
    """
    found = tuple(canonical(name) for name in names)
    if not found:
        raise InputError("--channels: names no contrast; give at least one, for example dwi or FLAIR")
    for name in found:
        if found.count(name) > 1:
            raise InputError(f"--channels: names {name} twice; keep one of them")
    return found


def in_order(names: Iterable[str]) -> list[str]:
    """Contrasts in the order of `CONTRASTS`, ADC last: a map is the grid of a case only if there is nothing else."""
    return sorted(names, key=lambda name: (name == "adc", CONTRASTS.index(name)))


def folder_of(contrast: str) -> str:
    """BIDS folder of a contrast: `dwi` or `anat`."""
    return "dwi" if contrast in DIFFUSION else "anat"


def suffix_of(path: Path) -> str:
    """The last part of a file name, without ending: `sub-01_ses-1_FLAIR.nii.gz` → `FLAIR`."""
    return without_ending(path).rpartition("_")[2]


def contrast_of(path: Path) -> str | None:
    """The contrast that the suffix of a file name says; None if it is not one of `CONTRASTS`."""
    return _BY_LOWER.get(suffix_of(path).lower())


def stem_of(path: Path) -> str:
    """A file name without ending and without its contrast: `sub-01_FLAIR.nii.gz` → `sub-01`."""
    name = without_ending(path)
    return name.rpartition("_")[0] or name if contrast_of(path) else name


def space_of(path: Path) -> str | None:
    """The space that a file name says, with its key: `space-MNI152NLin6Asym`."""
    found = re.search(r"(?:^|_)(space-[A-Za-z0-9]+)", path.name)
    return found[1] if found else None


def recognise(path: Path) -> tuple[str | None, str]:
    """What a scan is by its file name or its sidecar, and which of the two says so.

    The suffix of the name counts first, then the sidecar (modality, image type, description), then words in the name
    if they agree. Images that are no contrast of a model have their own name, such as `a mask`, `FA` or `CT`; None if
    neither says anything.
    """
    suffix = suffix_of(path).lower()
    if found := _BY_LOWER.get(suffix) or _OTHERS.get(suffix):
        return found, "name"
    if found := _of_sidecar(path):
        return found, "sidecar"
    # A subject may have any name. In `dwi_on_flair`, two words contradict, so none counts.
    words = re.sub(r"(^|_)(sub|ses|space|desc|acq)-[A-Za-z0-9]+", "", without_ending(path))
    said = [contrast for contrast, pattern in _SERIES.items() if _says(pattern, words)]
    said = [contrast for contrast in said if _KINDS_OF.get(contrast) not in said]
    return (said[0], "name") if len(said) == 1 else (None, "")


def _of_sidecar(path: Path) -> str | None:
    content = read_sidecar(path)
    modality = str(content.get("Modality", "MR"))
    if not modality.upper().startswith("MR"):
        return modality
    kinds = content.get("ImageType")
    for kind in kinds if isinstance(kinds, list) else []:
        if found := _IMAGE_TYPES.get(str(kind).upper()):
            return found
    text = " ".join(str(content.get(key, "")) for key in ("SeriesDescription", "ProtocolName"))
    return next((contrast for contrast, pattern in _SERIES.items() if _says(pattern, text)), None)


def _says(pattern: str, text: str) -> bool:
    return re.search(rf"(?<![a-z0-9])({pattern})(?![a-z0-9])", text, re.IGNORECASE) is not None


def read_sidecar(image: Path) -> dict[str, Any]:
    """The content of the JSON file beside an image; empty if there is none that can be read."""
    content = None
    with contextlib.suppress(OSError, ValueError):
        content = read_json(image.with_name(f"{without_ending(image)}.json"))
    return content if isinstance(content, dict) else {}
