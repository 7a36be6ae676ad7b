"""Helpers for architectures: the device, noise and sizes."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.roles import device_of, noise, require_multiple
from strokereg.registry.errors import InputError


def test_sizes_that_do_not_halve_are_refused():
    require_multiple(torch.Size((32, 48)), 16, "net")
    with pytest.raises(InputError, match=r"net: the size \(32, 40\) must be multiples of 16; pad the image"):
        require_multiple(torch.Size((32, 40)), 16, "net")


def test_a_model_without_tensors_is_on_the_cpu():
    assert device_of(torch.nn.Identity()).type == "cpu"
    assert device_of(torch.nn.Linear(1, 1)).type == "cpu"
    counter = torch.nn.Module()
    counter.register_buffer("seen", torch.zeros((), device="meta"))
    assert device_of(counter).type == "meta"


def test_noise_has_the_width_of_the_model_and_repeats_under_a_generator():
    model = torch.nn.Identity()
    model.noise = 5
    first, again = (noise(model, 3, torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.shape == (3, 5)
    assert torch.equal(first, again)
