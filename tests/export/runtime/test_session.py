"""Engines: which is chosen, that they agree, and what cannot be opened."""

import numpy as np
import onnx
import pytest

from strokereg.export.runtime import session
from strokereg.export.runtime.providers import PREFERRED, provider_options
from strokereg.export.runtime.session import OnnxRuntime, choose_backend, open_file
from strokereg.export.verify.probe import probe_inputs
from strokereg.registry.errors import InputError


def test_openvino_gives_what_onnxruntime_gives(exported):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    ours, bundle = open_file(exported["onnx"], "onnxruntime")
    other, _ = open_file(exported["onnx"], "openvino", threads=1)
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
    assert [choose_backend("auto", "fp32", scans) for scans in (1, 50)] == ["onnxruntime", "openvino"]
    assert choose_backend("auto", "bf16") == "openvino"
    monkeypatch.setattr(session, "usable_providers", lambda: list(PREFERRED[1:]))
    assert choose_backend("auto", "fp32", 50) == "onnxruntime"
    monkeypatch.setattr(session.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"not installed; install it with: pip install 'strokereg\[openvino\]'"):
        choose_backend("openvino")


def test_a_gpu_computes_a_float32_file_in_float32():
    assert provider_options(PREFERRED[1], "fp32") == {"use_tf32": "0"}
    assert provider_options(PREFERRED[0], "fp16")["trt_fp16_enable"] == "1"
    assert provider_options(PREFERRED[3], "fp32") == {}


def test_a_broken_graph_is_one_sentence(exported, tmp_path):
    model = onnx.load(exported["onnx"])
    model.graph.node[3].op_type = "NoSuchOperator"
    onnx.save(model, tmp_path / "broken.onnx")
    with pytest.raises(InputError, match=r"broken\.onnx: not a model that onnxruntime can open") as refused:
        open_file(tmp_path / "broken.onnx", "onnxruntime")
    assert "\n" not in str(refused.value)
