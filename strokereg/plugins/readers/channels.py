"""Which channel of a data set is DWI and which ADC: by name, by option, or because there is only one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strokereg.registry.errors import FileFault, InputError
from strokereg.registry.options import Options

DATASET = "dataset.json"
_NAMES = {
    "adc": re.compile(r"\badc\b|diffusion coeff", re.IGNORECASE),
    "dwi": re.compile("dwi|trace|b.?1000", re.IGNORECASE),
}


class ChannelOptions(Options):
    """For sets whose channels have other names.

    Args:
        dwi, adc: number of the channel, from 0; None to go by the names.
    """

    dwi: int | None = None
    adc: int | None = None


def read_dataset(root: Path) -> dict[str, Any]:
    """The `dataset.json` of nnU-Net and of the decathlon.

    Raises:
        FileFault: not a JSON table.
    """
    path = root / DATASET
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFault(path, f"not valid JSON ({error})", "correct it") from error
    if not isinstance(said, dict):
        raise FileFault(path, "holds no table of names", "correct it")
    return said


def channels_of(root: Path, said: Mapping[str, Any], options: ChannelOptions) -> dict[str, int]:
    """`dwi` and, where there is one, `adc` → number of the channel.

    Raises:
        InputError: several channels, of which none is known to be the DWI.
    """
    listed = said.get("channel_names") or said.get("modality") or {}
    names = {int(number): str(name) for number, name in listed.items() if str(number).isdigit()}
    chosen = {kind: number for kind in ("dwi", "adc") if (number := getattr(options, kind)) is not None}
    for kind, expression in _NAMES.items():
        fitting = [number for number, name in names.items() if expression.search(name)]
        if fitting:
            chosen.setdefault(kind, fitting[0])
    if "dwi" not in chosen and len(names) <= 1:
        chosen["dwi"] = next(iter(names), 0)
    if "dwi" not in chosen:
        said_names = ", ".join(f"{number} {name}" for number, name in sorted(names.items()))
        raise InputError(f"{root / DATASET}: its channels are {said_names}; say which is the DWI with --set dwi=NUMBER")
    return chosen
