"""Engines: which is chosen, that they agree, and what cannot be opened."""

import numpy as np
import onnx
import onnxruntime
import pytest

from strokereg.export.files import read_bundle
from strokereg.export.runtime import devices, providers, session
from strokereg.export.runtime.providers import PREFERRED
from strokereg.export.runtime.session import EngineSettings, OnnxRuntime, choose_backend, open_file
from strokereg.export.verify.probe import probe_inputs
from strokereg.registry.errors import InputError


def test_openvino_gives_what_onnxruntime_gives(exported):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    ours, bundle = open_file(exported["onnx"], EngineSettings("onnxruntime", "cpu"))
    other, _ = open_file(exported["onnx"], EngineSettings("openvino", threads=1))
    inputs = probe_inputs(bundle)
    np.testing.assert_allclose(other.run(inputs), ours.run(inputs), atol=1e-5)
    assert (ours.provider, other.provider) == ("CPU", "OpenVINO")
    assert ours.inputs == other.inputs == {"image": (None, 1, None, None), "median": (None, 1)}
    first = other.run(inputs)
    other.run({name: array * 2 for name, array in inputs.items()})
    assert np.array_equal(first, other.run(inputs))  # a result is not overwritten by the next call


def test_the_way_through_an_io_binding_gives_the_same(exported):
    engine = OnnxRuntime(exported["onnx"])
    _, bundle = open_file(exported["onnx"])
    inputs = probe_inputs(bundle)
    assert np.array_equal(engine._run_bound(inputs), engine.run(inputs))


def test_auto_takes_openvino_for_many_scans_and_a_gpu_before_it(monkeypatch):
    monkeypatch.setattr(session.importlib.util, "find_spec", lambda name: True)
    one, many = EngineSettings(device="cpu"), EngineSettings(scans=50)
    assert choose_backend(one) == "onnxruntime"
    assert choose_backend(one, "bf16") == "openvino"
    monkeypatch.setattr(session, "usable_providers", lambda device, precision: list(PREFERRED[3:]))
    assert choose_backend(many) == "openvino"
    for gpu in PREFERRED[:2]:
        monkeypatch.setattr(session, "usable_providers", lambda device, precision, gpu=gpu: [gpu, PREFERRED[3]])
        assert choose_backend(many, "fp16") == "onnxruntime"
    with pytest.raises(InputError, match="--backend openvino: runs on the CPU; leave it out, or leave --device cuda"):
        choose_backend(EngineSettings("openvino", "cuda"))
    monkeypatch.setattr(session.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"not installed; install it with: pip install 'strokereg\[openvino\]'"):
        choose_backend(EngineSettings("openvino"))


class FakeSession:
    """A session of onnxruntime on a machine whose CUDA libraries work, or do not."""

    works = True

    def __init__(self, path, options, providers):
        self.asked = providers

    def get_providers(self):
        return [name for name, _ in self.asked] if self.works else [PREFERRED[3]]

    def get_inputs(self):
        return []

    get_outputs = get_inputs


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(PREFERRED))
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    for module in (devices, providers):
        monkeypatch.setattr(module, "count_gpus", lambda: 2)
    monkeypatch.setattr(providers, "_loads", lambda library: True)


def test_the_gpu_that_was_asked_for_is_used_and_named(exported, two_gpus):
    bundle = read_bundle(exported["onnx"])
    opened = OnnxRuntime(exported["onnx"], "fp16", EngineSettings(device="cuda:1"), bundle)
    assert opened.provider == "TensorRT:1"
    options = dict(opened._session.asked)
    assert options[PREFERRED[0]]["device_id"] == options[PREFERRED[1]]["device_id"] == "1"
    assert "image:16x1x32x32" in options[PREFERRED[0]]["trt_profile_max_shapes"]
    assert OnnxRuntime(exported["onnx"], "fp32", EngineSettings(), bundle).provider == "CUDA:0"


def test_a_gpu_that_cannot_be_started_is_never_replaced_in_silence(exported, two_gpus, monkeypatch, caplog):
    monkeypatch.setattr(FakeSession, "works", False)
    with pytest.raises(InputError, match=r"--device cuda:1: onnxruntime cannot start CUDA.*install 'onnxruntime-gpu"):
        OnnxRuntime(exported["onnx"], settings=EngineSettings(device="cuda:1"))
    assert OnnxRuntime(exported["onnx"]).provider == "CPU"
    assert "so the CPU is used" in caplog.text


def test_a_broken_graph_is_one_sentence(exported, tmp_path):
    model = onnx.load(exported["onnx"])
    model.graph.node[3].op_type = "NoSuchOperator"
    onnx.save(model, tmp_path / "broken.onnx")
    with pytest.raises(InputError, match=r"broken\.onnx: not a model that onnxruntime can open") as refused:
        open_file(tmp_path / "broken.onnx", EngineSettings("onnxruntime"))
    assert "\n" not in str(refused.value)
