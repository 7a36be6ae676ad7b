"""Which providers are asked for."""

import onnxruntime
import pytest

from strokereg.export import providers
from strokereg.export.providers import PREFERRED, short_name, usable_providers

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


def test_names_for_people():
    assert short_name(CPU) == "CPU"
