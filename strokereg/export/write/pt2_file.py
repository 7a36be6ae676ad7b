"""Write and run `.pt2`, the archive of `torch.export`.

The archive (torch 2.14) holds weights as raw bytes with a JSON table, the graph as JSON, our metadata as text, and
pickled example inputs, which are left out here. torch's reader unpickles weights, constants and example inputs if a
file asks for it, so `require_plain` checks a file before anything is loaded.
"""

from __future__ import annotations

import copy
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import torch

from strokereg.export.graph import Graph
from strokereg.export.inputs import Inputs, RunGraph
from strokereg.export.metadata import KEY
from strokereg.export.write.any_device import free_program
from strokereg.export.write.program import program_of, quiet
from strokereg.registry.errors import InputError

EXTRA = f"{KEY}.json"
_CODE = ("custom_obj", "opaque_obj")  # constants that torch would bring back by running code


def write(graph: Graph, example: Inputs, path: Path) -> None:
    """Export a graph with dynamic batch and spatial sizes.

    Args:
        example: inputs with at least two items and no size at its smallest, so that nothing is specialised.
    """
    program = program_of(graph, example)
    program.example_inputs = None  # the only part that would be pickled
    for node in program.graph.nodes:
        # Stack traces carry paths of the exporting machine.
        node.meta = {name: value for name, value in node.meta.items() if name in ("val", "tensor_meta")}
    freed = copy.deepcopy(program)  # the ONNX file is made from the program too
    free_program(freed)
    packed = io.BytesIO()  # torch's own writer reports a full disk unclearly
    torch.export.save(freed, packed)
    path.write_bytes(packed.getvalue())
    require_plain(path)


def annotate(path: Path, text: str) -> None:
    """Put the metadata text into a written file that has none, as the extra file `strokereg.json`."""
    with zipfile.ZipFile(path, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{folder}/extra/{EXTRA}", text)


def read_text(path: Path) -> str | None:
    """The metadata text of a file, or None. Reads the archive only, loads nothing."""
    with zipfile.ZipFile(path) as archive:
        found = [name for name in archive.namelist() if name.endswith(f"/extra/{EXTRA}")]
        return archive.read(found[0]).decode("utf-8") if found else None


def opened(path: Path) -> RunGraph:
    """A function that runs the file on the CPU."""
    model = _load(path).module()

    def run(inputs: Inputs) -> np.ndarray:
        with torch.inference_mode():
            return model(*(torch.from_numpy(array) for array in inputs.values())).numpy()

    return run


def versions() -> dict[str, str]:
    """Versions of the tools that wrote the file."""
    return {"torch": torch.__version__}


def require_plain(path: Path) -> None:
    """Refuse a `.pt2` file of which torch would unpickle any part.

    Raises:
        InputError: names the part.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename
            inner = name.partition("/")[2]
            pickled = name.endswith(".pt") and entry.file_size > 0
            coded = inner.startswith("data/constants/") and inner.rpartition("/")[2].startswith(_CODE)
            if pickled or coded or (name.endswith("_config.json") and _asks_for_pickle(archive.read(name))):
                raise InputError(
                    f"{path}: holds pickled objects ({inner}), which could run code when loaded; "
                    "export the run again with a newer torch"
                )


def _asks_for_pickle(text: bytes) -> bool:
    return any(entry.get("use_pickle") for entry in json.loads(text).get("config", {}).values())


def _load(path: Path) -> torch.export.ExportedProgram:
    require_plain(path)
    with quiet():
        return torch.export.load(path)
