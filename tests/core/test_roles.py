"""Helpers for architectures: the device, noise and sizes."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.roles import delivered_weights, device_of, noise, require_multiple
from strokereg.registry.errors import InputError
from strokereg.testing.pretend import PretendedDevice


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


def test_noise_is_drawn_on_the_device_of_the_model():
    model = torch.nn.Linear(1, 1)
    model.noise = 5
    with PretendedDevice() as device:
        put = device.put(model)
        assert device.owns(noise(put, 3))
        assert device.copies == 0
        assert device.owns(noise(put, 3, torch.Generator()))


def test_modules_that_only_train_are_not_delivered():
    model = torch.nn.Module()
    model.net, model.pool, model.pool_of_results = torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1), torch.nn.Linear(1, 1)
    model.pool.training_only = True
    assert [name.split(".")[0] for name in delivered_weights(model)] == ["net"] * 2 + ["pool_of_results"] * 2
    assert delivered_weights(torch.nn.Linear(1, 1)).keys() == {"weight", "bias"}


def test_noise_has_the_width_of_the_model_and_repeats_under_a_generator():
    model = torch.nn.Identity()
    model.noise = 5
    first, again = (noise(model, 3, torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.shape == (3, 5)
    assert torch.equal(first, again)
