"""The roles of architectures: protocols that an `nn.Module` follows. No base class is needed.

Every factory is called as `Class(problem, options)`: `problem` is a `registry.problem.Problem`, `options` an
instance of the class's own `Options` (derived from `registry.options.Options`).
`forward` takes and returns plain tensors and is exactly what is exported:

- generator   `forward(z [N, Z]) -> mask logits [N, 1, *S]`, and an attribute `noise: int` (the Z)
- translator  `forward(labels int64 [N, *S]) -> image [N, C, *S] in [-1, 1]`;
              a stochastic one `forward(labels, z [N, Z])` with `noise: int`
- segmenter   `forward(image [N, C, *S] in [-1, 1]) -> lesion logits [N, 1, *S]`

In a training step, `moves(batch)` is a Python generator. It yields a player and the player's named losses; the trainer
makes one optimiser step for that player and then asks for the next move.

An untrained method has no players. It can collect facts about the training cases in buffers, which are saved like
weights: its attribute `looks: int` is the number of batches that it wants to see, and `moves` is called with each of
them and yields nothing.

A submodule with `training_only = True`, such as a pool of earlier images, is kept in checkpoints but not delivered: its
buffers are left out of the weights of a finished run.

A mixer is no network but a class with `mix(host, donor, rng)`, which makes one new `Sample` from two real ones in
NumPy. It is neither trained nor exported.
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
        image: float32 [N, C, *S] in [-1, 1]; for an unpaired translator, from other cases than `labels`.
        mask: float32 [N, 1, *S] in {0, 1}, the lesion in `image`.
        progress: share of the training that is done, 0 … 1, for losses that change during the training.
    """

    labels: Tensor
    image: Tensor
    mask: Tensor
    progress: float = 0.0


@dataclass
class Player:
    """A set of parameters and how they are optimised, such as generator or discriminator of a GAN.

    Args:
        parameters: the trainable parameters of this player; no other player has them.
        lr, betas, weight_decay: of Adam ("adam") or AdamW ("adamw").
        schedule: "constant", "linear" (constant, then to zero over the second half) or "onecycle".
        clip: largest gradient norm; None does not clip.
        average: deliver an exponential moving average of these parameters.
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
    """What the trainer needs. An untrained method returns no players."""

    def players(self) -> dict[str, Player]:
        """Name → player; every trainable parameter belongs to exactly one."""
        ...

    def moves(self, batch: Batch) -> Iterator[Move]:
        """Yield `(player name, {loss name: scalar tensor})` for each move of a step."""
        ...


@dataclass(frozen=True)
class Sample:
    """A prepared case as the input and output of a mixer. Do not modify its arrays.

    Attributes:
        image: float32 [C, Z, Y, X] in [-1, 1]; -1 is zero signal, and the scale is linear.
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
        """Make a new case on the host's grid, or return None to get another donor.

        Args:
            host, donor: two cases with the same voxel size but possibly different shapes; the same case twice if there
                is only one.
            rng: source of all random numbers.
        """
        ...


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's parameters or buffers; the CPU for a model without any."""
    return next((t.device for t in itertools.chain(model.parameters(), model.buffers())), torch.device("cpu"))


def delivered_weights(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model without that of its submodules with `training_only = True`."""
    left_out = tuple(f"{name}." for name, part in model.named_modules() if getattr(part, "training_only", False))
    return {name: value for name, value in model.state_dict().items() if not name.startswith(left_out)}


def noise(model: nn.Module, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise [count, model.noise] on the model's device; drawn there, or where `generator` is."""
    device = device_of(model)
    width = int(model.noise)  # type: ignore[arg-type]
    drawn_on = device if generator is None else generator.device
    return torch.randn(count, width, generator=generator, device=drawn_on).to(device)


def require_multiple(shape: Sequence[int], multiple: int, name: str) -> None:
    """Require that every edge is a multiple of `multiple`. The check is skipped while the network is exported.

    Raises:
        InputError: names the network, the size and the multiple.
    """
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return
    if any(int(n) % multiple for n in shape):
        raise InputError(f"{name}: the size {tuple(shape)} must be multiples of {multiple}; pad the image")
