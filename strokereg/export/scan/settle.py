"""What is only settled when the functions are joined: types, and names that errors can be told by."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper


def settle(model: onnx.ModelProto) -> None:
    """Write each `CastLike` as the `Cast` that it is here, and name nodes by what they make.

    The functions take values of any type; engines fold constants through `Cast`, and warn of each `CastLike`.
    """
    types: dict[str, int] = {}
    for graph in graphs(onnx.shape_inference.infer_shapes(model).graph):
        for entry in (*graph.value_info, *graph.input, *graph.output):
            types[entry.name] = entry.type.tensor_type.elem_type
        types |= {entry.name: entry.data_type for entry in graph.initializer}
    for graph in graphs(model.graph):
        for node in graph.node:
            if node.op_type == "CastLike":
                node.op_type = "Cast"
                node.attribute.append(helper.make_attribute("to", types[node.input.pop()]))
            node.name = node.output[0]


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all within its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs(attribute.g)
