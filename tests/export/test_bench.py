"""What is timed: a file beside its siblings."""

import shutil

import numpy as np
import pytest

from strokereg.export.bench import Ways, _of_run, bench
from strokereg.export.verify.timing import BenchSettings
from strokereg.registry.errors import InputError
from strokereg.testing.pretend import PretendedDevice

FAST = BenchSettings(rounds=1, batch=2, threads=1)


def test_a_file_is_timed_with_those_of_the_same_network(exported, tmp_path):
    shutil.copy(exported["onnx"], tmp_path / "unet.onnx")
    shutil.copy(exported["torchscript"], tmp_path / "unet.pt")
    shutil.copy(exported["scan"], tmp_path / "unet.scan.onnx")
    shutil.copy(exported["onnx"], tmp_path / "other.onnx")
    timings = bench(tmp_path / "unet.pt", FAST)
    assert timings.ways[0].way == "TorchScript"
    assert {way.way for way in timings.ways} | set(timings.absent) == {
        "TorchScript",
        "onnxruntime, fp32",
        "OpenVINO, fp32",
    }
    assert (timings.ways[0].latency_ratio, timings.size, timings.batch) == (1.0, (32, 32), 2)


def test_eager_pytorch_runs_on_the_best_device(unet_run, tmp_path, monkeypatch):
    """On a GPU machine onnxruntime takes the GPU, so the torch that it is compared with does too."""
    meta = PretendedDevice("meta")
    monkeypatch.setattr("strokereg.core.train.device.choose_device", lambda name="auto": meta.device)
    ways: Ways = {}
    _of_run(unet_run, tmp_path, ways, FAST)
    image, median = np.zeros((2, 1, 32, 32), np.float32), np.ones((2, 1), np.float32)
    with meta:
        out = ways["PyTorch, eager on meta"]()({"image": image, "median": median})
    assert out.shape == (2, 1, 32, 32)
    assert meta.reads == {"cpu": 1}


def test_whole_scans_are_not_timed_whatever_their_name(exported, tmp_path):
    shutil.copy(exported["scan"], tmp_path / "model.onnx")
    with pytest.raises(InputError, match="takes whole scans, and only networks are timed; give the network's own file"):
        bench(tmp_path / "model.onnx", FAST)


def test_a_size_of_another_number_of_edges(exported):
    with pytest.raises(InputError, match="--size 8,8,8: unet needs 2 edges"):
        bench(exported["onnx"], BenchSettings(size=(8, 8, 8)))
