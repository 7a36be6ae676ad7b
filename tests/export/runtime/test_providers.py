"""Which providers of onnxruntime are used."""

import onnxruntime
import pytest

from strokereg.export.runtime import providers
from strokereg.export.runtime.providers import PREFERRED, load_libraries, provider_options, short_name, usable_providers

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
    ("listed", "device", "tensorrt", "usable"),
    [
        ([TENSORRT, CUDA, CPU], True, False, [CUDA, CPU]),
        ([CPU, CUDA, TENSORRT], True, True, [TENSORRT, CUDA, CPU]),
        (["AzureExecutionProvider", OPENVINO, CPU], False, False, [OPENVINO, CPU]),
    ],
)
def test_the_order_on_hardware_that_is_not_here(monkeypatch, listed, device, tensorrt, usable):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    monkeypatch.setattr(providers, "_has_nvidia_device", lambda: device)
    monkeypatch.setattr(providers, "_loads", lambda library: tensorrt)
    assert usable_providers() == usable


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
    assert provider_options(CUDA, "fp32") == {"use_tf32": "0"}


def test_names_for_people():
    assert short_name(CPU) == "CPU"
