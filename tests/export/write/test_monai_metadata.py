"""MONAI's own loader opens our TorchScript files and learns what goes in and what comes out."""

import warnings

import numpy as np
import torch

from strokereg.export.files import read_bundle
from strokereg.export.verify.probe import probe_inputs
from strokereg.export.write import torchscript_file


def test_monai_opens_and_runs_the_file(exported):
    from monai.data import load_net_with_metadata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network, metadata, extra = load_net_with_metadata(
            str(exported["torchscript"]), more_extra_files=("strokereg.json",)
        )
    inputs = probe_inputs(read_bundle(exported["torchscript"]))
    with torch.inference_mode():
        got = network(*(torch.from_numpy(array) for array in inputs.values())).numpy()
    assert np.array_equal(got, torchscript_file.opened(exported["torchscript"])(inputs))
    formats = metadata["network_data_format"]
    assert list(formats["inputs"]) == ["image", "median"]
    assert formats["inputs"]["image"]["spatial_shape"] == ["16*n", "16*n"]
    assert formats["outputs"]["probability"]["value_range"] == [0, 1]
    assert "Not a medical device" in metadata["intended_use"]
    assert extra["strokereg.json"]
