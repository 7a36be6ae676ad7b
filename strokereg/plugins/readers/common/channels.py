"""Find the contrasts of the channels of a data set: by option, by name, or DWI because there is only one channel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strokereg.core.scan.contrasts import in_order
from strokereg.core.storage.files import read_json
from strokereg.registry.errors import FileFault, InputError
from strokereg.registry.options import Options

DATASET = "dataset.json"
_NAMES = {
    "dwi": re.compile("dwi|trace|b.?1000", re.IGNORECASE),
    "FLAIR": re.compile("flair", re.IGNORECASE),
    "T1w": re.compile(r"^t1w?\b", re.IGNORECASE),
    "T2w": re.compile(r"^t2w?\b(?!.*flair)", re.IGNORECASE),
    "adc": re.compile(r"\badc\b|diffusion coeff", re.IGNORECASE),
}


class ChannelOptions(Options):
    """Options for data sets whose channels have unusual names.

    Args:
        dwi, adc: number of the channel, from 0; None to find it by name.
    """

    dwi: int | None = None
    adc: int | None = None


def read_dataset(root: Path) -> dict[str, Any]:
    """Read the `dataset.json` of nnU-Net or the decathlon.

    Raises:
        FileFault: not a JSON object.
    """
    path = root / DATASET
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise FileFault(path, f"not valid JSON ({error})", "correct it") from error
    if not isinstance(content, dict):
        raise FileFault(path, "does not hold a JSON object", "correct it")
    return content


def channels_of(root: Path, dataset: Mapping[str, Any], options: ChannelOptions) -> dict[str, int]:
    """Contrast → number of the channel, the contrast that defines the grid first. Other channels are left out.

    Raises:
        InputError: there are several channels, and none is known to be an image.
    """
    listed = dataset.get("channel_names") or dataset.get("modality") or {}
    names = {int(number): str(name) for number, name in listed.items() if str(number).isdigit()}
    chosen = {kind: number for kind in ("dwi", "adc") if (number := getattr(options, kind)) is not None}
    for kind, expression in _NAMES.items():
        fitting = [number for number, name in names.items() if expression.search(name)]
        if fitting:
            chosen.setdefault(kind, fitting[0])
    if not chosen and len(names) <= 1:
        chosen["dwi"] = next(iter(names), 0)
    if not chosen.keys() - {"adc"}:
        listed = ", ".join(f"{number} {name}" for number, name in sorted(names.items()))
        raise InputError(f"{root / DATASET}: its channels are {listed}; choose the DWI with --set dwi=NUMBER")
    return {kind: chosen[kind] for kind in in_order(chosen)}
