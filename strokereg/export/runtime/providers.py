"""The providers of onnxruntime that work on this machine: TensorRT, CUDA, OpenVINO and CPU, in that order.

onnxruntime-gpu lists TensorRT and CUDA on machines without a GPU too, and prints errors when it opens a file with them.
So a provider is used only if its device and libraries are found.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Sequence

from strokereg.core.storage.cache import cache_folder

PREFERRED = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider")


def usable_providers() -> list[str]:
    """Providers that work here, best first; the CPU is always the last."""
    import onnxruntime

    listed = onnxruntime.get_available_providers()
    usable = [name for name in PREFERRED if name in listed]
    if not _has_nvidia_device():
        usable = [name for name in usable if name not in PREFERRED[:2]]
    elif not _loads("libnvinfer.so.10" if sys.platform != "win32" else "nvinfer_10.dll"):
        usable = [name for name in usable if name != PREFERRED[0]]
    return usable


def provider_options(provider: str, precision: str) -> dict[str, str]:
    """Options with which a provider computes a file in its own precision."""
    if provider == "CUDAExecutionProvider":
        # TF32 keeps ten bits of a float32's fraction, which would miss the parity that the file was released with.
        return {"use_tf32": "0" if precision == "fp32" else "1"}
    if provider == "TensorrtExecutionProvider":
        # Engines take minutes to build; kept, the next start takes seconds. TensorRT itself makes one folder at most.
        engines = cache_folder() / "tensorrt"
        engines.mkdir(parents=True, exist_ok=True)
        return {
            "trt_fp16_enable": "1" if precision == "fp16" else "0",
            "trt_int8_enable": "1" if precision == "int8" else "0",
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(engines),
        }
    return {}


def load_libraries(providers: Sequence[str]) -> None:
    """Load CUDA and cuDNN where a provider needs them.

    If they are packages from PyPI, only torch would find them, which the runtime does not import. Without this call
    onnxruntime would use the CPU.
    """
    import onnxruntime

    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None and any(name in PREFERRED[:2] for name in providers):
        with contextlib.redirect_stdout(sys.stderr):  # it prints what it does not find
            preload()


def short_name(provider: str) -> str:
    """`CPUExecutionProvider` → `CPU`."""
    return provider.removesuffix("ExecutionProvider")


def _has_nvidia_device() -> bool:
    """Ask the driver itself, which needs no CUDA toolkit."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
