"""Device, precision, compilation and seeds."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from strokereg.registry.errors import InputError, RunFailed


def choose_device(name: str = "auto") -> torch.device:
    """The device with this name; `auto` is CUDA if available, then MPS, then the CPU.

    From then on, fp32 is fp32 on a CUDA GPU, as in exported files; see `allow_tf32`.

    Raises:
        InputError: this machine has no such device.
    """
    device = _named(name)
    if device.type == "cuda":
        allow_tf32(False)
    return device


def allow_tf32(allowed: bool) -> None:
    """Whether a CUDA GPU may round the factors of fp32 products to TF32, which has 10 bits of mantissa."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def _named(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device {name}: no such device; choose auto, cpu, cuda or mps") from error
    if missing := _missing(device):
        raise InputError(f"--device {name}: {missing}; choose auto or cpu")
    return device


def _missing(device: torch.device) -> str:
    """What a device lacks on this machine; empty if it can be used."""
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if torch.version.cuda is None and not count:
            return "this torch was built without CUDA"
        if not count:
            return "the NVIDIA driver is not installed or finds no GPU"
        return "" if (device.index or 0) < count else f"this machine has {count} GPU{'s' * (count > 1)}, counted from 0"
    if device.type == "mps":
        return "" if torch.backends.mps.is_available() else "this machine has no Apple GPU that torch can use"
    return "" if device.type == "cpu" else "not supported"


def choose_precision(name: str, device: torch.device) -> str:
    """The precision with this name; `auto` is bf16 where that is faster, fp16 on older GPUs, else fp32.

    On CPUs bf16 is faster with AMX or AVX-512 BF16: with the latter, a U-Net's step took 0.6 times as long as in fp32.
    With AVX-512 alone it took 1.2 times as long.

    Raises:
        InputError: fp16 or tf32 without a GPU.
    """
    if name in ("fp16", "tf32") and device.type != "cuda":
        raise InputError(f"--precision {name}: needs a CUDA GPU, this run is on {device.type}; choose bf16 or fp32")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu":
        units = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return "bf16" if any(getattr(torch.cpu, unit, lambda: False)() for unit in units) else "fp32"
    return "fp32"


def resolve(device: str, precision: str) -> tuple[str, str]:
    """The names of the device and the precision that are used here, without `auto`.

    Raises:
        InputError: see `choose_device` and `choose_precision`.
    """
    chosen = choose_device(device)
    return str(chosen), choose_precision(precision, chosen)


@contextlib.contextmanager
def repeatable(name: str, device: torch.device, deterministic: bool) -> Iterator[None]:
    """Context of a training: deterministic algorithms only, or the fastest convolutions of a GPU.

    A CPU computes the same numbers either way. On a GPU, deterministic algorithms can be slower. `name` is that of the
    architecture, for the message.

    Raises:
        RunFailed: an operation of the network has no deterministic algorithm.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it at its first use
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = device.type == "cuda" and not deterministic
    try:
        yield
    except RuntimeError as error:
        operation, found, _ = str(error).partition(" does not have a deterministic implementation")
        if not found:
            raise
        raise RunFailed(
            f"--deterministic: {name} uses {operation}, which has no deterministic algorithm on {device.type}; "
            "train without --deterministic"
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def units_at_once(size: Sequence[int]) -> int:
    """How many images of this spatial size go through a network together: at most 16, and 2^20 voxels or one image."""
    return max(1, min(16, 2**20 // math.prod(size)))


def compile_networks(model: nn.Module) -> None:
    """Run a model and each of its networks through torch.compile at their first call.

    `moves` may call the networks without the model's own `forward`, which alone would leave them as they are.
    """
    model.compile()
    parts = list(model.children())
    while parts:
        part = parts.pop()
        if isinstance(part, (nn.ModuleList, nn.ModuleDict)):  # these are never called
            parts += part.children()
        else:
            part.compile()


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


def seed_of(*parts: int) -> int:
    """One seed of 63 bits from several integers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) >> 1


def seed_everything(*parts: int) -> None:
    """Seed the global generators of torch (all devices), NumPy and Python from integers."""
    seed = seed_of(*parts)
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def describe_hardware(device: str, threads: int) -> dict[str, str | int | float]:
    """The machine of a training: processor, cores, memory in GB, the GPU if one is used, and torch threads."""
    chosen = choose_device(device)
    found: dict[str, str | int | float] = {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gb": _memory_gb(),
        "threads": threads,
    }
    if chosen.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(chosen)
        found["gpu_memory_gb"] = round(torch.cuda.get_device_properties(chosen).total_memory / 1e9, 1)
        found["cuda"] = str(torch.version.cuda)
    elif chosen.type != "cpu":
        found["gpu"] = chosen.type
    return found


def _processor() -> str:
    """The name of the processor; where the system does not tell, that of its architecture."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gb() -> float:
    """Memory of the machine in GB; 0 where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 0.0
