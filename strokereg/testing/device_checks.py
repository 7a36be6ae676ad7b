"""The check that an architecture stays on its device. It runs on a pretended GPU and computes no value."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Literal

import torch
from torch import Tensor, nn

from strokereg.core.roles import Batch, Player
from strokereg.testing.check import Unfit, require, rule
from strokereg.testing.pretend import PretendedDevice, Unknown, why_not
from strokereg.testing.subject import Subject

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
_STEPS: tuple[tuple[Literal["cuda", "meta"], str], ...] = (
    ("cuda", "fp32"),
    ("cuda", "bf16"),
    ("cuda", "fp16"),
    ("meta", "fp32"),  # with a backward pass, and without float64
)
_reason = functools.cache(why_not)


@rule(
    "a training step and inference compute on the device of the network, on CUDA in fp32, bf16 and fp16, and use no "
    "float64, which MPS does not have",
    "register constants as buffers; create tensors and random numbers with device=… of an input; call .cpu() before "
    ".numpy(); avoid .double()",
    needs=("moves-name-players", "shapes-and-ranges", "bf16"),
)
def stays_on_its_device(subject: Subject) -> str:
    if _reason():
        raise Unfit(_reason())
    model = subject.build()
    require(
        any(True for _ in model.parameters()) or any(True for _ in model.buffers()),
        "the network has no parameter and no buffer, so its device is not known and it always runs on the CPU",
    )
    waits: list[Counter[str]] = []
    for kind, precision in _STEPS:
        if precision != "fp32" and not subject.spec.bf16:
            continue
        device = PretendedDevice(kind)
        try:
            waits.append(_step(subject, model, device, precision))
        except Unknown as reason:
            raise Unfit(str(reason)) from reason
        except NotImplementedError as error:  # a custom operation without shapes
            raise Unfit(f"it cannot run without values ({str(error).strip().partition(chr(10))[0]})") from error
    first = waits[0]
    if not first:
        return "a training step never waits for the device"
    listed = ", ".join(f"{name} {count}" for name, count in first.items())
    return f"a training step waits {first.total()} times for the device: {listed}"


def _step(subject: Subject, model: nn.Module, device: PretendedDevice, precision: str) -> Counter[str]:
    """Run one training step and inference; returns what waited in the step."""
    batch = subject.batch()
    with device:
        network = device.put(model).train()
        players: dict[str, Player] = network.players()  # type: ignore[operator]
        here = Batch(*(device.tensor(value) for value in (batch.labels, batch.image, batch.mask)), progress=0.5)
        moves = network.moves(here)  # type: ignore[operator]
        while True:
            with device.autocast(_DTYPES[precision]):
                move = next(moves, None)
            if move is None:
                break
            name, losses = move
            for loss, value in losses.items():
                _require_here(device, value, f"the loss {loss!r} of {name!r}")
            total = torch.stack([value.float() for value in losses.values()]).sum()
            total.backward(inputs=players[name].parameters)
        waits = device.reads.copy()
        if device.copies:
            waits["copies from the CPU"] = device.copies
        network.eval()
        given = [device.tensor(value) for value in subject.inputs(model, batch)]
        with torch.no_grad(), device.autocast(_DTYPES[precision]):
            _require_here(device, network(*given), "the output")
        for name, value in (*network.named_parameters(), *network.named_buffers()):
            _require_here(device, value, f"after the step, {name}")
    return waits


def _require_here(device: PretendedDevice, value: Tensor, what: str) -> None:
    require(device.owns(value), f"{what} is on {value.device} instead of {device.device.type}")
