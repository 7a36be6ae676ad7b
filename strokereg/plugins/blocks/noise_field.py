"""White Gaussian noise of any size from a noise vector, for stochastic networks of any image size.

`forward(labels, z)` must be repeatable and exportable, but its noise has as many voxels as the image. So z is used as a
seed: voxel position and z are hashed to an integer, and two such integers give one normal number (Box, Muller 1958).
The hash is x -> x^5 modulo the prime 2^31 - 1, which is a permutation because 5 and 2^31 - 2 have no common factor,
with a key added between its rounds (the construction of MiMC: Albrecht 2016, eprint 2016/492). Integers below 2^62 are
not rounded, so every runtime draws the same field, unlike with the better known frac(sin(x) * 43758).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_PRIME = 2**31 - 1
_GRAIN = 2**16  # a component of z counts in steps of 1 / 65536
_STEPS = (1_640_531_527, 805_459_861)  # separate neighbouring values


def white(z: Tensor, size: Sequence[int], channels: int = 1, salt: int = 0) -> Tensor:
    """Independent N(0, 1) values, float32 [N, channels, *size], the same for the same z, position and salt.

    Args:
        z: float [N, Z], finite; field n depends on row n only. Differences below 1 / 65536 are ignored.
        size: spatial size; a smaller field is a corner of a larger one.
        channels: number of independent fields for each row.
        salt: integer, 0 or more; each gives an independent field of the same z.
    """
    field = _key(z, salt)
    for count in (channels, *size):
        field = _branch(field, count)
    radius = (-2.0 * _share(_mix(field + _STEPS[0])).log()).sqrt()
    return radius * (2.0 * math.pi * _share(field)).cos()


def _key(z: Tensor, salt: int) -> Tensor:
    """z [N, Z] → one integer below the prime for each row, [N]."""
    grains = (z.detach().float() * _GRAIN).round().long()
    places = torch.arange(1, z.shape[1] + 1, device=z.device) * _STEPS[0]
    mixed = _mix(_mix((grains + places) % _PRIME) + _STEPS[1])
    return _mix(mixed.sum(1) % _PRIME + salt * _STEPS[1] % _PRIME)


def _branch(field: Tensor, count: int) -> Tensor:
    """Add an axis of `count` positions: every number becomes a series with its own step."""
    places = torch.arange(count, device=field.device)
    step = _mix(field + _STEPS[1])[..., None]
    return _mix(field[..., None] + step * places)


def _mix(x: Tensor) -> Tensor:
    """x^5 modulo the prime, for integers from 0 to 2^62."""
    x = x % _PRIME
    square = x * x % _PRIME
    return square * square % _PRIME * x % _PRIME


def _share(x: Tensor) -> Tensor:
    """Integer below the prime → float32 in (0, 1]."""
    return (x + 1).float() / float(_PRIME + 1)
