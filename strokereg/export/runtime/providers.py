"""The providers of onnxruntime that work on this machine: TensorRT, CUDA, OpenVINO and CPU, in that order.

onnxruntime-gpu lists TensorRT and CUDA on machines without a GPU too, and prints errors when it opens a file with them.
So a provider is used only if its device and libraries are found.

Files in fp32 are computed in float32, never in TF32: it keeps ten bits of the fraction, which would miss the parity
that a file was released with. onnxruntime cannot turn TF32 off in TensorRT, so TensorRT runs fp16 and int8 only.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from strokereg.core.storage.cache import cache_folder
from strokereg.export.runtime.devices import Device, count_gpus
from strokereg.registry.errors import InputError

PREFERRED = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider")
TENSORRT, CUDA, OPENVINO, CPU = PREFERRED
GPU = ("TensorRT", "CUDA")  # short names
_SHORT = {TENSORRT: "TensorRT"}

log = logging.getLogger(__name__)

Shapes = Mapping[str, tuple[tuple[int, ...], ...]]  # input name → least, usual and largest shape


def import_onnxruntime() -> Any:
    """The module onnxruntime.

    Raises:
        InputError: its files are incomplete, as after one of two of its packages was removed.
    """
    import onnxruntime

    if not hasattr(onnxruntime, "InferenceSession"):
        raise InputError(
            "onnxruntime: its files are incomplete, as where two of its packages were installed; run 'pip uninstall "
            "onnxruntime onnxruntime-gpu' and install one of them again"
        )
    return onnxruntime


def usable_providers(device: str = "auto", precision: str = "fp32") -> list[str]:
    """Providers that work here, best first; the CPU is always the last.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: of the file; TensorRT is used for fp16 and int8 only.

    Raises:
        InputError: a device that is not on this machine.
    """
    listed = import_onnxruntime().get_available_providers()
    wanted = Device.parse(device)
    wanted.require(listed)
    usable = [name for name in PREFERRED if name in listed]
    if wanted.kind == "cpu":
        return usable[-1:]
    if wanted.kind == "cuda":
        usable = [name for name in usable if name != OPENVINO]
    if not count_gpus():
        return [name for name in usable if name not in (TENSORRT, CUDA)]
    tensorrt = precision in ("fp16", "int8") and _loads("libnvinfer.so.10" if os.name != "nt" else "nvinfer_10.dll")
    return usable if tensorrt else [name for name in usable if name != TENSORRT]


def provider_options(provider: str, precision: str, index: int = 0, shapes: Shapes | None = None) -> dict[str, str]:
    """Options with which a provider computes a file in its own precision.

    Args:
        index: number of the GPU.
        shapes: for TensorRT, which builds one engine for all of them. Without, it builds one for each new shape.
    """
    if provider == CUDA:
        # The default search times every algorithm for each new shape, which takes longer than most scans.
        return {
            "device_id": str(index),
            "cudnn_conv_algo_search": "HEURISTIC",
            "use_tf32": "0" if precision == "fp32" else "1",
        }
    if provider == TENSORRT:
        return {
            "device_id": str(index),
            "trt_fp16_enable": "1" if precision == "fp16" else "0",
            "trt_int8_enable": "1" if precision == "int8" else "0",
            **_engine_cache(),
            **_profile(shapes or {}),
        }
    return {}


def load_libraries(providers: Sequence[str]) -> None:
    """Load CUDA and cuDNN where a provider needs them.

    If they are packages from PyPI, only torch would find them, which the runtime does not import. Without this call
    onnxruntime would use the CPU.
    """
    preload = getattr(import_onnxruntime(), "preload_dlls", None)
    if preload is not None and any(name in (TENSORRT, CUDA) for name in providers):
        with contextlib.redirect_stdout(sys.stderr):  # it prints what it does not find
            preload()


def short_name(provider: str) -> str:
    """`CPUExecutionProvider` → `CPU`."""
    return _SHORT.get(provider, provider.removesuffix("ExecutionProvider"))


def _engine_cache() -> dict[str, str]:
    """Engines take minutes to build; kept, the next start takes seconds. TensorRT itself makes one folder at most."""
    try:
        engines = cache_folder() / "tensorrt"
        engines.mkdir(parents=True, exist_ok=True)
    except (OSError, InputError) as error:
        log.warning("TensorRT builds its engine at each start, because the cache cannot be used: %s", error)
        return {"trt_engine_cache_enable": "0"}
    return {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(engines)}


def _profile(shapes: Shapes) -> dict[str, str]:
    """Profile options of TensorRT: `image:1x1x64x64,median:1x1`."""
    options = {}
    for number, key in enumerate(("min", "opt", "max")):
        texts = (f"{name}:{'x'.join(map(str, three[number]))}" for name, three in shapes.items())
        if text := ",".join(texts):
            options[f"trt_profile_{key}_shapes"] = text
    return options


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
