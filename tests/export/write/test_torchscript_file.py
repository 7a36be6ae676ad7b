"""TorchScript files give what ONNX files give."""

import numpy as np

from strokereg.export.write import onnx_file, torchscript_file


def test_torchscript_and_onnx_agree_on_other_sizes(exported):
    first, second = onnx_file.opened(exported["onnx"]), torchscript_file.opened(exported["torchscript"])
    rng = np.random.default_rng(0)
    for batch, size in ((1, (16, 64)), (5, (48, 32))):
        image = rng.gamma(2.0, 50.0, (batch, 1, *size)).astype(np.float32)
        inputs = {"image": image, "median": np.full((batch, 1), 100.0, np.float32)}
        np.testing.assert_allclose(first(inputs), second(inputs), atol=1e-4)
