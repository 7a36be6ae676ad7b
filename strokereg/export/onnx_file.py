"""Writing and running ONNX."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch

from strokereg.export import exact_norm
from strokereg.export.axes import dynamic_shapes
from strokereg.export.graph import Graph, Inputs
from strokereg.export.metadata import KEY

OPSET = 20


def write(graph: Graph, example: Inputs, path: Path) -> None:
    """Export a graph with dynamic batch and spatial sizes into a single file.

    Args:
        example: inputs with at least two items and no size at its smallest, so that nothing is specialised.
    """
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph,
                tuple(torch.from_numpy(example[name]) for name in graph.inputs),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(graph.inputs),
                output_names=list(graph.output),
                dynamic_shapes=dynamic_shapes(graph),
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
    assert program is not None
    model = program.model_proto
    _strip(model)
    exact_norm.rewrite(model)
    path.write_bytes(model.SerializeToString())


def annotate(path: Path, text: str) -> None:
    """Put the metadata text into a written file."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {KEY: text})
    path.write_bytes(model.SerializeToString())


def read_text(path: Path) -> str | None:
    """The metadata text of a file, or None."""
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}.get(KEY)


def opened(path: Path) -> Callable[[Inputs], np.ndarray]:
    """A function that runs the file on onnxruntime's CPU provider."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def versions() -> dict[str, str]:
    """What wrote the file."""
    return {"torch": torch.__version__, "onnx": onnx.__version__, "opset": str(OPSET)}


def _strip(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes for its own debugging: stack traces carry paths of the exporting machine."""
    for function in (model.graph, *model.functions):
        function.ClearField("doc_string")
        for entry in (*function.node, *function.value_info):
            entry.ClearField("metadata_props")
            entry.ClearField("doc_string")
    for entry in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")
