"""Find the channels of DWI and ADC in a data set: by option, by name, or because there is only one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strokereg.core.storage.files import parse_json
from strokereg.registry.errors import FileFault, InputError
from strokereg.registry.options import Options

DATASET = "dataset.json"
_NAMES = {
    "adc": re.compile(r"\badc\b|diffusion coeff", re.IGNORECASE),
    "dwi": re.compile("dwi|trace|b.?1000", re.IGNORECASE),
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
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFault(path, f"not valid JSON ({error})", "correct it") from error
    if not isinstance(content, dict):
        raise FileFault(path, "does not hold a JSON object", "correct it")
    return content


def channels_of(root: Path, dataset: Mapping[str, Any], options: ChannelOptions) -> dict[str, int]:
    """`dwi` and, if there is one, `adc` → number of the channel.

    Raises:
        InputError: there are several channels, and the DWI is not known.
    """
    listed = dataset.get("channel_names") or dataset.get("modality") or {}
    names = {int(number): str(name) for number, name in listed.items() if str(number).isdigit()}
    chosen = {kind: number for kind in ("dwi", "adc") if (number := getattr(options, kind)) is not None}
    for kind, expression in _NAMES.items():
        fitting = [number for number, name in names.items() if expression.search(name)]
        if fitting:
            chosen.setdefault(kind, fitting[0])
    if "dwi" not in chosen and len(names) <= 1:
        chosen["dwi"] = next(iter(names), 0)
    if "dwi" not in chosen:
        listed = ", ".join(f"{number} {name}" for number, name in sorted(names.items()))
        raise InputError(f"{root / DATASET}: its channels are {listed}; choose the DWI with --set dwi=NUMBER")
    return chosen
