"""The `metadata.json` of a MONAI bundle, which MONAI's tools look for in a TorchScript file.

`monai.data.load_net_with_metadata` reads inputs and outputs from it. Everything else stays in `strokereg.json`.
"""

from __future__ import annotations

import json

from strokereg.export.metadata import Bundle
from strokereg.registry.specs import Role

NAME = "metadata.json"
_TASKS = {
    Role.SEGMENTER: "stroke lesion segmentation of {channels}",
    Role.TRANSLATOR: "synthesis of {channels} from label maps",
    Role.GENERATOR: "synthesis of stroke lesion masks",
}


def monai_json(bundle: Bundle) -> str:
    """The text of `metadata.json`."""
    spatial = [f"{step}*n" for step in bundle.steps] or list(bundle.size)
    ((output, meaning),) = bundle.output.items()
    values = [-1, 1] if bundle.role == Role.TRANSLATOR else [0, 1]
    channels = len(bundle.channels) if bundle.role == Role.TRANSLATOR else 1
    inputs = {
        name: {"type": _kind(name), "format": what, "num_channels": _channels(name, bundle)}
        | ({"spatial_shape": spatial, "dtype": "int64" if name == "labels" else "float32"} if name in _KINDS else {})
        for name, what in bundle.inputs.items()
    }
    content = {
        "version": bundle.version,
        "monai_version": "1.4",
        "pytorch_version": bundle.versions.get("torch", ""),
        "numpy_version": "",
        "name": bundle.architecture,
        "task": _TASKS[Role(bundle.role)].format(channels=" and ".join(bundle.channels)),
        "description": f"{bundle.architecture}, trained on {bundle.training.cohort or 'a cohort that is not named'}",
        "intended_use": bundle.intended_use,
        "copyright": bundle.licence,
        "network_data_format": {
            "inputs": inputs,
            "outputs": {
                output: {
                    "type": "image" if bundle.role == Role.TRANSLATOR else "probabilities",
                    "format": meaning,
                    "num_channels": channels,
                    "spatial_shape": spatial,
                    "dtype": "float32",
                    "value_range": values,
                }
            },
        },
    }
    return json.dumps(content)


_KINDS = {"image": "image", "labels": "label"}


def _kind(name: str) -> str:
    return _KINDS.get(name, "vector")


def _channels(name: str, bundle: Bundle) -> int:
    if name in ("image", "median", "limits"):
        return len(bundle.channels)
    return bundle.noise or 0 if name == "noise" else 1
