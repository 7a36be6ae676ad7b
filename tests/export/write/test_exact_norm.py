"""Instance norm in ONNX is as exact as in torch."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from strokereg.export.write.exact_norm import OPERATOR, rewrite


def model_of(rank: int, channels: int, epsilon: float) -> onnx.ModelProto:
    shape = ["n", channels, *"zyx"[-(rank - 2) :]]
    node = helper.make_node(OPERATOR, ["image", "weight", "bias"], ["normed"], epsilon=epsilon)
    last = helper.make_node("Identity", ["normed"], ["out"])
    rng = np.random.default_rng(0)
    constants = [
        onnx.numpy_helper.from_array(rng.standard_normal(channels, dtype=np.float32), name)
        for name in ("weight", "bias")
    ]
    graph = helper.make_graph(
        [node, last],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


@pytest.mark.parametrize("size", [(96, 80), (24, 48, 40)])
def test_mostly_background_is_normalised_as_exactly_as_float64(size):
    rng = np.random.default_rng(1)
    image = np.full((2, 3, *size), -0.97, dtype=np.float32)
    image[..., 10:20, 12:25] += rng.gamma(2.0, 0.05, image[..., 10:20, 12:25].shape).astype(np.float32)
    model = model_of(image.ndim, 3, 1e-5)
    weight, bias = (torch.from_numpy(onnx.numpy_helper.to_array(c).copy()).double() for c in model.graph.initializer)
    truth = torch.nn.functional.instance_norm(torch.from_numpy(image).double(), weight=weight, bias=bias).numpy()
    stock = abs(run(model, image) - truth).max()
    rewrite(model)
    onnx.checker.check_model(model)
    assert OPERATOR not in {node.op_type for node in model.graph.node}
    exact = abs(run(model, image) - truth).max()
    assert exact < 5e-5
    assert exact < stock


def test_epsilon_is_kept():
    image = np.random.default_rng(2).standard_normal((1, 2, 8, 8)).astype(np.float32)
    model = model_of(4, 2, 0.5)
    stock = run(model, image)
    rewrite(model)
    np.testing.assert_allclose(run(model, image), stock, atol=1e-6)
