"""Write and run ONNX."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import torch

from strokereg.export.formats import Precision
from strokereg.export.graph import Graph
from strokereg.export.inputs import Inputs, RunGraph
from strokereg.export.metadata import KEY
from strokereg.export.runtime.session import ON_CPU, OnnxRuntime, OpenVino
from strokereg.export.write import exact_norm, label_tables
from strokereg.export.write.program import dynamic_shapes, program_of, quiet

OPSET = 20


def write(graph: Graph, example: Inputs, path: Path) -> None:
    """Export a graph with dynamic batch and spatial sizes into a single file, exact and fast on onnxruntime.

    `graph.onnx` keeps the exporter's own operators, and lower precisions are made from it: their error is far above
    what `exact_norm` saves, engines have a fast operator for the norm, and convolutions gain more from a lower
    precision than from tables.

    Args:
        example: inputs with at least two items and no size at its smallest, so that nothing is specialised.
    """
    exported = program_of(graph, example)
    with quiet():
        program = torch.onnx.export(
            exported,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.output),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    _name_axes(model, graph)
    graph.onnx = model.SerializeToString()
    exact_norm.rewrite(model)
    label_tables.rewrite(model)
    path.write_bytes(model.SerializeToString())


def annotate(path: Path, text: str) -> None:
    """Put the metadata text into a written file."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {KEY: text})
    path.write_bytes(model.SerializeToString())


def read_text(path: Path) -> str | None:
    """The metadata text of a file, or None."""
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}.get(KEY)


def opened(path: Path, precision: Precision = Precision.FP32) -> RunGraph:
    """A function that runs the file on the CPU, by the engine that its precision is made for."""
    bf16 = precision == Precision.BF16
    return OpenVino(path, precision).run if bf16 else OnnxRuntime(path, precision, ON_CPU).run


def versions() -> dict[str, str]:
    """Versions of the tools that wrote the file."""
    return {"torch": torch.__version__, "onnx": onnx.__version__, "opset": str(OPSET)}


def _name_axes(model: onnx.ModelProto, graph: Graph) -> None:
    """Name the free axes: torch.export numbers them (`16*s89`), and `16*height` is easier to read."""
    names: dict[str, str] = {}
    for entry, free in zip(model.graph.input, dynamic_shapes(graph), strict=True):
        for axis, dim in free.items():
            symbol = re.search(r"s\d+", entry.type.tensor_type.shape.dim[axis].dim_param)
            if symbol:
                names[symbol[0]] = re.sub(r"^\d+\*", "", dim.__name__)
    for entry in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for edge in entry.type.tensor_type.shape.dim:
            if edge.dim_param:
                edge.dim_param = re.sub(r"\bs\d+\b", lambda found: names.get(found[0], found[0]), edge.dim_param)


def _strip(model: onnx.ModelProto) -> None:
    """Drop the exporter's debugging notes: stack traces contain paths of the exporting machine."""
    for function in (model.graph, *model.functions):
        function.ClearField("doc_string")
        for entry in (*function.node, *function.value_info):
            entry.ClearField("metadata_props")
            entry.ClearField("doc_string")
    for entry in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")
