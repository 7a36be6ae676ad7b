"""Which providers are asked for."""

import onnxruntime
import pytest

from strokereg.export.runtime import providers
from strokereg.export.runtime.providers import PREFERRED, load_libraries, provider_options, short_name, usable_providers

TENSORRT, CUDA, OPENVINO, CPU = PREFERRED


def test_here_the_cpu_is_always_last():
    assert usable_providers()[-1] == CPU


@pytest.mark.parametrize(
    ("listed", "device", "tensorrt", "usable"),
    [
        ([TENSORRT, CUDA, CPU], False, False, [CPU]),
        ([TENSORRT, CUDA, CPU], True, False, [CUDA, CPU]),
        ([CPU, CUDA, TENSORRT], True, True, [TENSORRT, CUDA, CPU]),
        (["AzureExecutionProvider", OPENVINO, CPU], False, False, [OPENVINO, CPU]),
    ],
)
def test_only_what_can_work_is_asked_for(monkeypatch, listed, device, tensorrt, usable):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    monkeypatch.setattr(providers, "_has_nvidia_device", lambda: device)
    monkeypatch.setattr(providers, "_loads", lambda library: tensorrt)
    assert usable_providers() == usable


def test_libraries_are_loaded_for_a_gpu_only_and_never_speak_on_stdout(monkeypatch, capsys):
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
    assert provider_options(CUDA, "fp32") == {"use_tf32": "0"}


def test_names_for_people():
    assert short_name(CPU) == "CPU"
