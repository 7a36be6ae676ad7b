"""Which providers of onnxruntime are used."""

import sys
import types

import onnxruntime
import pytest

from strokereg.export.runtime import devices, providers
from strokereg.export.runtime.providers import PREFERRED, load_libraries, provider_options, short_name, usable_providers
from strokereg.registry.errors import InputError

TENSORRT, CUDA, OPENVINO, CPU = PREFERRED


def opened(model, provider: str) -> list[str]:
    """The providers that a session gets which asks for this one."""
    load_libraries([provider])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    wanted = [(provider, provider_options(provider, "fp32"))]
    return onnxruntime.InferenceSession(model, options, providers=wanted).get_providers()


def test_every_usable_provider_of_this_machine_runs_a_file(exported):
    usable = usable_providers()
    assert usable[-1] == CPU
    assert len(set(usable)) == len(usable)
    assert sorted(usable, key=PREFERRED.index) == usable
    for provider in usable:
        assert opened(exported["onnx"], provider)[0] == provider


def test_the_providers_that_are_left_out_do_not_work_here(exported, capfd):
    listed = [name for name in onnxruntime.get_available_providers() if name in PREFERRED]
    left_out = [name for name in listed if name not in usable_providers()]
    if not left_out:
        pytest.skip("every provider that this onnxruntime lists works here")
    for provider in left_out:
        assert provider not in opened(exported["onnx"], provider)


@pytest.mark.parametrize(
    ("listed", "gpus", "tensorrt", "asked", "usable"),
    [
        ([TENSORRT, CUDA, CPU], 1, False, ("auto", "fp16"), [CUDA, CPU]),
        ([CPU, CUDA, TENSORRT], 1, True, ("auto", "fp16"), [TENSORRT, CUDA, CPU]),
        ([CPU, CUDA, TENSORRT], 1, True, ("auto", "int8"), [TENSORRT, CUDA, CPU]),
        ([CPU, CUDA, TENSORRT], 1, True, ("auto", "fp32"), [CUDA, CPU]),  # TensorRT would compute it in TF32
        ([CPU, CUDA, TENSORRT], 0, True, ("auto", "fp16"), [CPU]),
        ([CPU, CUDA, TENSORRT], 1, True, ("cpu", "fp16"), [CPU]),
        ([CPU, CUDA, OPENVINO], 2, False, ("cuda:1", "fp32"), [CUDA, CPU]),
        (["AzureExecutionProvider", OPENVINO, CPU], 0, False, ("auto", "fp32"), [OPENVINO, CPU]),
    ],
)
def test_the_order_on_hardware_that_is_not_here(monkeypatch, listed, gpus, tensorrt, asked, usable):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    monkeypatch.setattr(providers, "count_gpus", lambda: gpus)
    monkeypatch.setattr(devices, "count_gpus", lambda: gpus)
    monkeypatch.setattr(providers, "_loads", lambda library: tensorrt)
    assert usable_providers(*asked) == usable


def test_incomplete_files_of_onnxruntime_are_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    with pytest.raises(InputError, match=r"onnxruntime: its files are incomplete, .* install one of them again"):
        usable_providers("cpu")


def test_libraries_are_loaded_for_a_gpu_only_and_print_nothing_on_stdout(monkeypatch, capsys):
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcudnn"))
    load_libraries([CPU])
    assert capsys.readouterr() == ("", "")
    load_libraries([CUDA, CPU])
    assert capsys.readouterr() == ("", "Failed to load libcudnn\n")


def test_tensorrt_keeps_its_engines_in_a_folder_that_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("STROKEREG_CACHE", str(tmp_path / "new" / "cache"))
    options = provider_options(TENSORRT, "fp16")
    assert (tmp_path / "new" / "cache" / "tensorrt").is_dir()
    assert options["trt_engine_cache_path"] == str(tmp_path / "new" / "cache" / "tensorrt")
    assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == ("1", "0")


def test_tensorrt_runs_without_a_cache(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STROKEREG_CACHE", str(tmp_path / "file"))
    assert provider_options(TENSORRT, "fp16")["trt_engine_cache_enable"] == "0"
    assert "builds its engine at each start" in caplog.text


def test_tensorrt_gets_one_range_of_shapes():
    shapes = {"image": ((1, 1, 32, 32), (16, 1, 64, 64), (16, 1, 64, 64)), "median": ((1, 1), (16, 1), (16, 1))}
    options = provider_options(TENSORRT, "fp16", 2, shapes)
    assert options["device_id"] == "2"
    assert options["trt_profile_min_shapes"] == "image:1x1x32x32,median:1x1"
    assert options["trt_profile_opt_shapes"] == options["trt_profile_max_shapes"] == "image:16x1x64x64,median:16x1"
    assert not any("profile" in name for name in provider_options(TENSORRT, "fp16"))


def test_cuda_neither_times_every_algorithm_nor_computes_float32_in_tf32():
    heuristic = {"device_id": "1", "cudnn_conv_algo_search": "HEURISTIC"}
    assert provider_options(CUDA, "fp32", 1) == {**heuristic, "use_tf32": "0"}
    assert provider_options(CUDA, "fp16", 1) == {**heuristic, "use_tf32": "1"}
    assert provider_options(CPU, "fp32") == {}


def test_names_for_people():
    assert [short_name(name) for name in PREFERRED] == ["TensorRT", "CUDA", "OpenVINO", "CPU"]
