"""Write and run TorchScript, by tracing (scripting fails on ordinary module style)."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import torch

from strokereg.export.graph import Graph
from strokereg.export.inputs import Inputs, RunGraph
from strokereg.export.metadata import KEY, parse_bundle
from strokereg.export.write import monai_metadata
from strokereg.export.write.any_device import free_script

EXTRA = f"{KEY}.json"


def write(graph: Graph, example: Inputs, path: Path) -> None:
    """Trace a graph on an example and save it."""
    with _quiet(), torch.no_grad():
        traced = torch.jit.trace(graph, tuple(torch.from_numpy(example[name]) for name in graph.inputs))
        free_script(traced)
        _save(traced, path)


def annotate(path: Path, text: str) -> None:
    """Put the metadata text into a written file, as the extra file `strokereg.json`; and what MONAI reads of it."""
    extra = {EXTRA: text, monai_metadata.NAME: monai_metadata.monai_json(parse_bundle(text, path))}
    with _quiet():
        _save(torch.jit.load(path, map_location="cpu"), path, extra)


def _save(module: torch.jit.ScriptModule, path: Path, extra: dict[str, str] | None = None) -> None:
    """Write through memory, since torch's own writer reports a full disk unclearly."""
    packed = io.BytesIO()
    torch.jit.save(module, packed, _extra_files=extra)
    path.write_bytes(packed.getvalue())


def read_text(path: Path) -> str | None:
    """The metadata text of a file, or None."""
    extra = {EXTRA: ""}
    with _quiet():
        torch.jit.load(path, map_location="cpu", _extra_files=extra)
    text = extra[EXTRA]
    return text.decode() if isinstance(text, bytes) else text or None


def opened(path: Path) -> RunGraph:
    """A function that runs the file on the CPU."""
    with _quiet():
        model = torch.jit.load(path, map_location="cpu")

    def run(inputs: Inputs) -> np.ndarray:
        with torch.inference_mode():
            return model(*(torch.from_numpy(array) for array in inputs.values())).numpy()

    return run


def versions() -> dict[str, str]:
    """Versions of the tools that wrote the file."""
    return {"torch": torch.__version__}


class _quiet(warnings.catch_warnings):
    """Hide two warnings: `torch.jit` is deprecated (known), and sizes read while tracing (parity measures them)."""

    def __enter__(self):
        entered = super().__enter__()
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.")
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        return entered
