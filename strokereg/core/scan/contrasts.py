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


def recognise(path: Path) -> str | None:
    """The contrast of a scan by the suffix of its file name, else by the series description in its sidecar, or None."""
    if contrast := contrast_of(path):
        return contrast
    content = read_sidecar(path)
    text = " ".join(str(content.get(key, "")) for key in ("SeriesDescription", "ProtocolName"))
    for contrast, words in _SERIES.items():
        if re.search(rf"(?<![a-z0-9])({words})(?![a-z0-9])", text, re.IGNORECASE):
            return contrast
    return None


def read_sidecar(image: Path) -> dict[str, Any]:
    """The content of the JSON file beside an image; empty if there is none that can be read."""
    content = None
    with contextlib.suppress(OSError, ValueError):
        content = read_json(image.with_name(f"{without_ending(image)}.json"))
    return content if isinstance(content, dict) else {}
