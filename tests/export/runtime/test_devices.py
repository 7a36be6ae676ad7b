"""`--device` of exported models: what it may be, and what is said of one that is not there."""

from __future__ import annotations

import pytest

from strokereg.export.runtime import devices
from strokereg.export.runtime.devices import Device
from strokereg.registry.errors import InputError

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def test_names_of_devices():
    assert [Device.parse(text) for text in ("auto", "cpu", "cuda", "cuda:1")] == [
        Device("auto"),
        Device("cpu"),
        Device("cuda"),
        Device("cuda", 1),
    ]
    assert [str(Device.parse(text)) for text in ("auto", "cpu", "cuda:0", "cuda:1")] == [
        "auto",
        "cpu",
        "cuda",
        "cuda:1",
    ]


@pytest.mark.parametrize("text", ["mps", "gpu", "cuda:", "cuda:-1", "cuda:1 ", "CPU", "", "cuda:99999999999"])
def test_other_names_are_refused(text):
    with pytest.raises(InputError, match="choose auto, cpu, cuda or cuda:N"):
        Device.parse(text)


@pytest.mark.parametrize(
    ("providers", "gpus", "message"),
    [
        ([CPU], 1, "this onnxruntime has no CUDA support; replace it with onnxruntime-gpu"),
        ([CUDA, CPU], 0, "the NVIDIA driver is not installed or finds no GPU; check nvidia-smi"),
        ([CUDA, CPU], 1, "this machine has 1 GPU, counted from 0"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused_with_what_is_missing(monkeypatch, providers, gpus, message):
    monkeypatch.setattr(devices, "count_gpus", lambda: gpus)
    with pytest.raises(InputError, match=f"--device cuda:1: {message}"):
        Device.parse("cuda:1").require(providers)
    Device.parse("auto").require(providers)
    Device.parse("cpu").require(providers)


def test_a_gpu_that_is_there(monkeypatch):
    monkeypatch.setattr(devices, "count_gpus", lambda: 2)
    Device.parse("cuda:1").require([CUDA, CPU])
