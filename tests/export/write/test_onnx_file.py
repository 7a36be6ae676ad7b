"""ONNX files: one valid file with free axes, the same numbers for an item alone and in a batch."""

import numpy as np
import onnx

from strokereg.export.write import onnx_file


def test_onnx_is_one_valid_file_with_free_batch_and_size(exported):
    model = onnx.load(exported["onnx"], load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    shapes = {i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    assert shapes == {"image": ["batch", 1, "16*height", "16*width"], "median": ["batch", 1]}
    assert model.opset_import[0].version == 20
    written = sorted(path.name for path in exported["onnx"].parent.iterdir())
    assert written == ["unet.onnx", "unet.pt", "unet.pt2", "unet.scan.onnx"]


def test_an_item_does_not_depend_on_its_batch(exported):
    run = onnx_file.opened(exported["onnx"])
    rng = np.random.default_rng(3)
    image = rng.gamma(2.0, 50.0, (4, 1, 32, 32)).astype(np.float32)
    median = rng.uniform(50.0, 200.0, (4, 1)).astype(np.float32)
    together = run({"image": image, "median": median})
    alone = run({"image": image[2:3], "median": median[2:3]})
    np.testing.assert_allclose(together[2:3], alone, atol=1e-6)
