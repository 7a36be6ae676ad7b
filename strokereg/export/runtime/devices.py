"""The device that an exported file runs on, as `--device` names it. No torch here."""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import dataclass

from strokereg.registry.errors import InputError

_CHOICES = "choose auto, cpu, cuda or cuda:N"


@dataclass(frozen=True)
class Device:
    """A device.

    Attributes:
        kind: "auto" (a GPU where there is one), "cpu" or "cuda".
        index: number of the GPU.
    """

    kind: str = "auto"
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> Device:
        """Read `auto`, `cpu`, `cuda` or `cuda:1`.

        Raises:
            InputError: something else.
        """
        found = re.fullmatch(r"(auto|cpu|cuda)|cuda:(\d{1,3})", text)
        if found is None:
            raise InputError(f"--device {text}: exported models do not run there; {_CHOICES}")
        return cls(found[1] or "cuda", int(found[2] or 0))

    def __str__(self) -> str:
        return f"cuda:{self.index}" if self.kind == "cuda" and self.index else self.kind

    def require(self, providers: list[str]) -> None:
        """Check that a GPU that was asked for can be used.

        Args:
            providers: those that the installed onnxruntime was built with.

        Raises:
            InputError: what is missing.
        """
        if self.kind != "cuda":
            return
        name, count = f"--device {self}", count_gpus()
        if "CUDAExecutionProvider" not in providers:
            raise InputError(
                f"{name}: this onnxruntime has no CUDA support; replace it with onnxruntime-gpu, or give --device cpu"
            )
        if count == 0:
            raise InputError(
                f"{name}: the NVIDIA driver is not installed or finds no GPU; check nvidia-smi, or give --device cpu"
            )
        if self.index >= count:
            raise InputError(f"{name}: this machine has {count} GPU{'s' * (count > 1)}, counted from 0; give another N")


def count_gpus() -> int:
    """Number of NVIDIA GPUs. It asks the driver, which needs no CUDA toolkit."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    except (OSError, AttributeError):
        pass
    return 0
