"""Which of onnxruntime's providers can work on this machine: TensorRT, CUDA, OpenVINO, CPU, in that order.

onnxruntime-gpu lists TensorRT and CUDA on machines without a GPU too, and prints errors when asked for them
there. So only those are asked for whose device and libraries are really found.
"""

from __future__ import annotations

import ctypes
import sys

PREFERRED = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider")


def usable_providers() -> list[str]:
    """Providers worth asking for, best first; the CPU is always the last."""
    import onnxruntime

    listed = onnxruntime.get_available_providers()
    usable = [name for name in PREFERRED if name in listed]
    if not _has_nvidia_device():
        usable = [name for name in usable if name not in PREFERRED[:2]]
    elif not _loads("libnvinfer.so.10" if sys.platform != "win32" else "nvinfer_10.dll"):
        usable = [name for name in usable if name != PREFERRED[0]]
    return usable


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
