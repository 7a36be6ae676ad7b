"""Instance norm in ONNX, as exact as in torch.

onnxruntime sums a whole plane or volume in one run of float32 additions. Where most voxels are one and the same
background, as in a brain scan, the rounding errors all point one way: measured on a real scan, a U-Net's
probabilities moved by 5e-5 in 2D and 4e-4 in 3D, against 3e-6 in torch (both against float64). Summing one axis
after the other, for mean and variance, brings onnxruntime to 4e-6 at about one and a half times the norm's cost.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPERATOR = "InstanceNormalization"


def rewrite(model: onnx.ModelProto) -> None:
    """Replace every InstanceNormalization of the main graph by mean, variance and scale, axis by axis."""
    graph = model.graph
    ranks = {info.name: len(info.type.tensor_type.shape.dim) for info in (*graph.value_info, *graph.input)}
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(graph.node):
        if node.op_type == OPERATOR and node.input[0] in ranks:
            nodes += _expand(graph, node, ranks[node.input[0]], f"norm_{number}")
        else:
            # A copy, because clearing the list below would empty the nodes themselves.
            nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
    graph.ClearField("node")
    graph.node.extend(nodes)


def _expand(graph: onnx.GraphProto, node: onnx.NodeProto, rank: int, name: str) -> list[onnx.NodeProto]:
    image, weight, bias = node.input
    epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
    nodes: list[onnx.NodeProto] = []

    def constant(tag: str, value: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(value, f"{name}_{tag}"))
        return f"{name}_{tag}"

    def op(kind: str, tag: str, *inputs: str, **attributes: int) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"{name}_{tag}"], f"{name}_{tag}", **attributes))
        return f"{name}_{tag}"

    def mean(tag: str, value: str) -> str:
        for axis in range(rank - 1, 1, -1):
            value = op(
                "ReduceMean", f"{tag}_{axis}", value, constant(f"{tag}_axis_{axis}", np.array([axis])), keepdims=1
            )
        return value

    along_channels = constant("shape", np.array([1, -1] + [1] * (rank - 2)))
    centred = op("Sub", "centred", image, mean("mean", image))
    variance = mean("variance", op("Mul", "squared", centred, centred))
    deviation = op("Sqrt", "deviation", op("Add", "stable", variance, constant("epsilon", np.float32([epsilon]))))
    gain = op("Div", "gain", op("Reshape", "weight", weight, along_channels), deviation)
    scaled = op("Mul", "scaled", centred, gain)
    shift = op("Reshape", "bias", bias, along_channels)
    nodes.append(helper.make_node("Add", [scaled, shift], node.output, f"{name}_shifted"))
    return nodes
