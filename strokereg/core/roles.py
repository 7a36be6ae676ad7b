"""Roles: what the core asks of an architecture. Protocols over `nn.Module`; no base class is needed.

Every factory is called as `Class(problem, options)`: `problem` is a `registry.problem.Problem`, `options` an
instance of the class's own `Options` table (`registry.options.Options`).
`forward` takes and gives plain tensors and is exactly what is exported:

- generator   `forward(z [N, Z]) -> mask logits [N, 1, *S]`, and an attribute `noise: int` (the Z)
- translator  `forward(labels int64 [N, *S]) -> image [N, C, *S] in [-1, 1]`;
              a stochastic one `forward(labels, z [N, Z])` with `noise: int`
- segmenter   `forward(image [N, C, *S] in [-1, 1]) -> lesion logits [N, 1, *S]`

Training is a short game: `moves(batch)` is a Python generator that yields who moves and that player's named
losses, and the trainer plays each move before it asks for the next one.

An untrained method has no players. What it must know of the training cases it may keep in buffers, which are saved as
weights are: it names in an attribute `looks: int` how many batches it wants to see, and `moves` is called with each and
yields nothing.

A mixer is the exception: no network, but a class with `mix(host, donor, rng)` that makes one new `Sample` out of two
real ones, in NumPy. Nothing of it is trained or exported.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from strokereg.registry.errors import InputError

Move = tuple[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Batch:
    """One training batch, on the device.

    Attributes:
        labels: int64 [N, *S], tissues with the lesion as the last label.
        image: float32 [N, C, *S] in [-1, 1]; for an unpaired translator, of other cases than `labels`.
        mask: float32 [N, 1, *S] in {0, 1}, the lesion that goes with `image`.
        progress: share of the training that is done, 0 … 1; for losses that change on the way.
    """

    labels: Tensor
    image: Tensor
    mask: Tensor
    progress: float = 0.0


@dataclass
class Player:
    """Who is optimised, and how.

    Args:
        parameters: the trainable parameters of this player and of no other.
        lr, betas, weight_decay: of Adam ("adam") or AdamW ("adamw").
        schedule: "constant", "linear" (constant, then to zero over the second half) or "onecycle".
        clip: largest gradient norm; None leaves gradients as they are.
        average: keep an exponential moving average of these parameters and deliver that.
    """

    parameters: list[nn.Parameter]
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 0.0
    optimiser: Literal["adam", "adamw"] = "adam"
    schedule: Literal["constant", "linear", "onecycle"] = "constant"
    clip: float | None = None
    average: bool = True


@runtime_checkable
class Trainable(Protocol):
    """What the trainer needs; an untrained method returns no players."""

    def players(self) -> dict[str, Player]:
        """Name → player; every trainable parameter belongs to exactly one."""
        ...

    def moves(self, batch: Batch) -> Iterator[Move]:
        """Yield `(player name, {loss name: scalar tensor})`, one move after the other."""
        ...


@dataclass(frozen=True)
class Sample:
    """A prepared case as a mixer takes and gives it; take it as read-only.

    Attributes:
        image: float32 [C, Z, Y, X] in [-1, 1]; -1 is no signal, and signal grows linearly from there.
        labels: uint8 [Z, Y, X], tissues with the lesion as the last label.
        parenchyma: the labels that a lesion may replace.
    """

    image: np.ndarray
    labels: np.ndarray
    parenchyma: tuple[int, ...]


@runtime_checkable
class Mixer(Protocol):
    """What the study needs of a mixer."""

    def mix(self, host: Sample, donor: Sample, rng: np.random.Generator) -> Sample | None:
        """A new case on the host's grid; None where these two do not go together, and another donor is drawn.

        Args:
            host, donor: of one grid spacing, not always of one size; the same case where there is only one.
            rng: everything random is drawn from it.
        """
        ...


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters or buffers lie; the CPU for one that has neither."""
    return next((t.device for t in itertools.chain(model.parameters(), model.buffers())), torch.device("cpu"))


def noise(model: nn.Module, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise [count, model.noise] on the model's device."""
    device = device_of(model)
    width = int(model.noise)  # type: ignore[arg-type]
    return torch.randn(count, width, generator=generator).to(device)


def require_multiple(shape: Sequence[int], multiple: int, name: str) -> None:
    """Refuse a spatial size that the network cannot halve evenly; silent while the network is being exported.

    Raises:
        InputError: names the network, the size and the multiple that it needs.
    """
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return
    if any(int(n) % multiple for n in shape):
        raise InputError(f"{name}: the size {tuple(shape)} must be multiples of {multiple}; pad the image")
