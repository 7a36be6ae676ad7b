"""A function of the graph, run by onnxruntime; and little networks as exported files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, inliner, numpy_helper

from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.export.metadata import Bundle, Parity, Training
from strokereg.export.runtime.segmenter import Segmenter
from strokereg.export.runtime.session import ON_CPU, OnnxRuntime
from strokereg.export.scan import domain, file
from strokereg.export.scan.assemble import functions, settle
from strokereg.export.write.onnx_nodes import Nodes


@pytest.fixture
def run():
    """A function (ONNX function, arrays …) → its outputs."""

    def call(function, *arrays) -> list[np.ndarray]:
        arrays = [np.asarray(array) for array in arrays]
        names = [f"input_{number}" for number in range(len(arrays))]
        made = [f"output_{number}" for number in range(len(function.to_function_proto().output))]
        node = helper.make_node(function.name, names, made, domain=domain.DOMAIN)
        entries = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim)
            for name, array in zip(names, arrays, strict=True)
        ]
        graph = helper.make_graph([node], "one", entries, [onnx.ValueInfoProto(name=name) for name in made])
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(domain.DOMAIN, 1)]
        kept = [proto for proto in functions(None) if proto.name not in ("blended", "show")]
        model = helper.make_model(graph, functions=kept, opset_imports=opsets, ir_version=10)
        model = inliner.inline_local_functions(model)
        settle(model)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, dict(zip(names, arrays, strict=True)))

    return call


class Made:
    """A network's file, the runtime around it, and the graph of a whole scan around it."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        path, self.path = folder / "net.onnx", folder / "net.scan.onnx"
        onnx.save(_network(bundle), path)
        file.write(path, bundle, self.path)
        self.bundle = bundle
        self.segmenter = Segmenter(path, OnnxRuntime(path, settings=ON_CPU), bundle)
        self.session = onnxruntime.InferenceSession(self.path, providers=["CPUExecutionProvider"])

    def both(self, scans):
        """What the runtime finds in a scan, and probability and mask of the graph."""
        rule = self.bundle.postprocessing or Postprocessing()
        return self.segmenter.find(scans, rule), *self.session.run(None, file.feeds(scans))


@pytest.fixture
def make(tmp_path):
    """A function (fields of the preparation; dims, size, postprocessing) → a network of two convolutions."""

    def made(dims=2, size=(32, 32), postprocessing=None, **preparation) -> Made:
        how = Preparation(multiple=(8, 8, 8), size=(8, 8, 8), **preparation)
        bundle = Bundle(
            role="segmenter",
            architecture="net",
            distribution="tests",
            version="1",
            dims=dims,
            size=size,
            inputs={"image": "raw", how.measured: "of the brain"},
            output={"probability": "of lesion"},
            channels=how.channels,
            labels=("background", "lesion"),
            preparation=how,
            postprocessing=postprocessing or Postprocessing(),
            training=Training(),
            parity=Parity(largest_difference=0.0, agreeing_voxels=1.0, cases=0, shapes=()),
            versions={},
            licence="Apache-2.0",
        )
        return Made(tmp_path, bundle)

    return made


def _network(bundle: Bundle) -> onnx.ModelProto:
    """Scaled image → conv → relu → conv → sigmoid, with weights that favour no direction and some brightness."""
    rng, dims, channels = np.random.default_rng(4), bundle.dims, len(bundle.channels)
    graph = onnx.GraphProto(name="net")
    free = [f"edge_{axis}" for axis in range(dims)]
    measured = bundle.preparation.measured
    for name, shape in (("image", [channels, *free]), (measured, [channels, *([2] if measured == "limits" else [])])):
        graph.input.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *shape]))
    graph.output.append(helper.make_tensor_value_info("probability", onnx.TensorProto.FLOAT, ["batch", 1, *free]))
    n = Nodes(graph, "net")
    scale = measured
    if measured == "limits":
        scale = n.op("ReduceSum", measured, n.constant([2]), keepdims=0)
    scaled = n.op("Div", "image", n.op("Unsqueeze", scale, n.constant(list(range(2, 2 + dims)))))
    weights = [rng.normal(0.0, 0.6, (width, before, *[3] * dims)) for width, before in ((4, channels), (1, 4))]
    for number, weight in enumerate(weights):
        graph.initializer.append(numpy_helper.from_array(weight.astype(np.float32), f"weight_{number}"))
    hidden = n.op("Relu", n.op("Conv", scaled, "weight_0", pads=[1] * 2 * dims))
    n.op("Sigmoid", n.op("Conv", hidden, "weight_1", pads=[1] * 2 * dims))
    n.finish("probability")
    graph.node.extend(n.made)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
