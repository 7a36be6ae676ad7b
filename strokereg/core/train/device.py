"""Device, precision and seeds."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from strokereg.registry.errors import InputError


def choose_device(name: str = "auto") -> torch.device:
    """The device with this name; `auto` is CUDA if available, then MPS, then the CPU.

    Raises:
        InputError: this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device {name}: no such device; choose auto, cpu, cuda or mps") from error
    missing = (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing or device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"--device {name}: not on this machine; choose auto or cpu")
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """The precision with this name; `auto` is bf16 where that is faster, fp16 on older GPUs, else fp32.

    On CPUs bf16 is faster with AMX or AVX-512 BF16: with the latter, a U-Net's step took 0.6 times as long as in fp32.
    With AVX-512 alone it took 1.2 times as long.

    Raises:
        InputError: fp16 without a GPU.
    """
    if name == "fp16" and device.type != "cuda":
        raise InputError(f"--precision fp16: needs a CUDA GPU, this run is on {device.type}; choose bf16 or fp32")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu":
        units = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return "bf16" if any(getattr(torch.cpu, unit, lambda: False)() for unit in units) else "fp32"
    return "fp32"


@contextlib.contextmanager
def sound_bf16(model: nn.Module) -> Iterator[None]:
    """Context in which 3D convolutions of very thin volumes on a CPU compute in fp32 instead of bf16.

    oneDNN 3.12 (torch 2.14) reads uninitialised memory in their weight gradient, which gives random numbers and
    sometimes NaN. This was seen for depths of 2 and less, and for kernels of 4 on edges of 3. Volumes with an edge of 4
    or less are small, so fp32 costs nothing there.
    """

    def guarded(compute: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
        def forward(x: torch.Tensor) -> torch.Tensor:
            if x.device.type != "cpu" or min(x.shape[2:]) > 4:
                return compute(x)
            with torch.autocast("cpu", enabled=False):
                return compute(x.float())

        return forward

    volumes = [module for module in model.modules() if isinstance(module, nn.Conv3d)]
    for module in volumes:
        module.forward = guarded(module.forward)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        for module in volumes:
            del module.forward


def seed_everything(*parts: int) -> None:
    """Seed the global generators of torch (all devices), NumPy and Python from integers."""
    seed = int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) >> 1
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
