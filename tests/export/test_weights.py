"""A run folder made of an exported file: the weights as they were trained, for a training to start from."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from strokereg.core.train.record import WEIGHTS, Record
from strokereg.core.train.runs import load_model
from strokereg.core.train.start import read_start
from strokereg.export.runtime.bundles import model_file
from strokereg.export.runtime.session import ON_CPU, OnnxRuntime
from strokereg.export.weights import run_of_export
from strokereg.registry.errors import InputError


def test_the_weights_of_an_export_are_those_of_its_run(unet_run, exported):
    folder = run_of_export(exported["onnx"])
    found, trained = load_file(folder / WEIGHTS), load_file(unet_run / WEIGHTS)
    assert found.keys() == trained.keys()
    assert all(np.array_equal(found[name], trained[name]) for name in trained)
    record = Record.read(unet_run)
    start = read_start(folder, "unet", record.preparation.channels, record.labels, {"path": "elsewhere"})
    assert start.run == "unet"
    assert start.cohort == "phantom"
    for wrong in ("scan", "torchscript"):
        with pytest.raises(InputError, match=r"starts from an \.onnx file in fp32 or fp16"):
            run_of_export(exported[wrong])


def test_the_built_in_bundle_becomes_its_network_again():
    import torch

    folder = run_of_export("sim-dwi-adc")
    assert run_of_export("sim-dwi-adc") == folder
    record, model = load_model(folder)
    assert record.preparation.channels == ("dwi", "adc")
    image = np.random.default_rng(0).uniform(50, 600, (1, 2, 32, 32)).astype(np.float32)
    median = np.full((1, 2), 200, np.float32)
    scaled = np.clip(image / 200 * 2 / record.preparation.ceiling - 1, -1, 1)
    with torch.inference_mode():
        expected = model(torch.from_numpy(scaled)).sigmoid().numpy()
    given = {"image": image, "median": median}
    found = OnnxRuntime(model_file("sim-dwi-adc"), settings=ON_CPU).run(given)
    assert np.abs(found - expected).max() < 0.02


def test_a_name_that_is_nothing_is_refused():
    with pytest.raises(InputError, match="no such file, and no bundle has this name"):
        run_of_export("sim-dwi-acd")
