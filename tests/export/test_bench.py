"""What is timed: a file beside its siblings."""

import shutil

import pytest

from strokereg.export.bench import bench
from strokereg.export.verify.timing import BenchSettings
from strokereg.registry.errors import InputError

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


def test_whole_scans_are_not_timed_whatever_their_name(exported, tmp_path):
    shutil.copy(exported["scan"], tmp_path / "model.onnx")
    with pytest.raises(InputError, match="takes whole scans, and only networks are timed; give the network's own file"):
        bench(tmp_path / "model.onnx", FAST)


def test_a_size_of_another_number_of_edges(exported):
    with pytest.raises(InputError, match="--size 8,8,8: unet needs 2 edges"):
        bench(exported["onnx"], BenchSettings(size=(8, 8, 8)))
