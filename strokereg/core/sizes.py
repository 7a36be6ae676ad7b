"""Spatial sizes that a network can take."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from strokereg.core.errors import InputError


def require_multiple(shape: Sequence[int], multiple: int, name: str) -> None:
    """Refuse a spatial size that the network cannot halve evenly; silent while the network is being exported.

    Raises:
        InputError: names the network, the size and the multiple that it needs.
    """
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return
    if any(int(n) % multiple for n in shape):
        raise InputError(f"{name}: the size {tuple(shape)} must be multiples of {multiple}; pad the image")
