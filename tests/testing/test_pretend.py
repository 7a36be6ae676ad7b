"""A pretended GPU refuses what a real one refuses, counts what makes the host wait, and leaves the CPU alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from strokereg.testing.pretend import PretendedDevice, Refused, Unknown, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture
def device():
    with PretendedDevice() as pretended:
        yield pretended


@pytest.fixture
def here(device):
    return torch.ones(3, 4, device="cuda")


def test_the_cpu_computes_as_usual_beside_it(device, here):
    assert (torch.arange(3) + 1).tolist() == [1, 2, 3]
    assert torch.from_numpy(np.ones(2)).sum().item() == 2
    assert device.owns(here)
    assert not device.owns(torch.ones(1))
    assert not device.reads


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda x: x + torch.ones(4), "same device"),
        (lambda x: x.numpy(), "can't convert"),
        (lambda x: np.asarray(x), "can't convert"),
        (lambda x: torch.rand(3, device="cuda", generator=torch.Generator()), "generator on cuda"),
        (lambda x: x.normal_(generator=torch.Generator()), "generator on cuda"),
    ],
)
def test_what_a_gpu_refuses(device, here, act, message):
    with pytest.raises(RuntimeError, match=message):
        act(here)


@pytest.mark.parametrize(
    "act",
    [
        lambda x: float(x.sum()),
        lambda x: bool((x > 0).any()),
        lambda x: x.cpu().numpy(),
        lambda x: x[x > 0],
        lambda x: torch.equal(x, x),
        lambda x: torch.zeros(3, 4).copy_(x),
        lambda x: (x > 0).nonzero(),
        lambda x: x.masked_select(x > 0),
    ],
)
def test_each_wait_is_counted_once(device, here, act):
    act(here)
    assert device.reads.total() == 1
    assert device.copies == 0


def test_copies_to_it_are_counted_unless_they_do_not_wait(device, here):
    for act in (
        lambda: torch.ones(2).to("cuda"),
        lambda: torch.tensor([1.0], device="cuda"),
        lambda: here.copy_(here.cpu()),
    ):
        before = device.copies
        act()
        assert device.copies == before + 1
    torch.ones(2).to("cuda", non_blocking=True)
    assert device.copies == 3


def test_what_does_not_wait_is_not_counted(device, here):
    torch.where(here > 0, 1.0, -1.0)
    here[here > 1] = 0.5
    here.normal_()
    here.new_zeros(3) + torch.arange(3, device="cuda")
    assert not device.reads
    assert device.copies == 0


def test_values_that_are_read_are_ones(device, here):
    assert float(here.sum()) == 1.0
    assert int(here.long().sum()) == 1
    assert (here.cpu().numpy() == 1).all()
    assert here.to("cpu", torch.float64).dtype == torch.float64
    assert here.tolist() == [[1.0] * 4] * 3  # counted once a value
    assert here[here > 0].shape == (12,)


def test_a_size_that_depends_on_values_is_not_known(device, here):
    with pytest.raises(Unknown, match="_unique2"):
        here.unique()


def test_autocast_and_gradients_of_the_gpu(device, here):
    network = device.put(nn.Linear(4, 2))
    with device.autocast(torch.bfloat16):
        out = network(here)
    assert out.dtype == torch.bfloat16
    assert network(here).dtype == torch.float32
    (slope,) = torch.autograd.grad(out.float().sum(), [network.weight])
    assert slope.shape == (2, 4)
    assert device.owns(slope)


def test_a_network_moves_with_its_buffers_and_keeps_its_own_references(device):
    network = nn.BatchNorm1d(4)
    network.trained, network.stray = [network.weight], torch.ones(4)
    moved = device.put(network)
    assert device.owns(moved.running_mean)
    assert moved.trained[0] is moved.weight
    assert not device.owns(moved.stray)
    assert not device.owns(network.weight)


def test_no_float64_on_meta_as_on_mps():
    with PretendedDevice("meta") as device:
        x = device.tensor(torch.ones(2))
        assert device.owns(x + 1)
        with pytest.raises(Refused, match="float64"):
            x.double()
        with pytest.raises(Refused, match="float64"):
            device.tensor(torch.ones(2, dtype=torch.float64))


@torch.inference_mode()
def test_in_inference_mode_too():
    with PretendedDevice() as device:
        x = torch.ones(2, 2).to(device.device)
        assert device.owns(nn.functional.adaptive_avg_pool2d(x[None], 1))
        assert float(x.sum().item()) == 1.0
        assert x[x > 0].cpu().tolist() == [1.0] * 4
    assert (device.copies, device.reads) == (1, {"item": 1, "index with a mask": 1, "cpu": 1})


def test_backward_runs_on_meta():
    with PretendedDevice("meta") as device:
        network = device.put(nn.Linear(4, 2))
        with torch.autocast("meta", enabled=False):
            network(torch.ones(1, 4, device="meta")).sum().backward()
        assert device.owns(network.weight.grad)
    with pytest.raises(RuntimeError):
        torch.autocast("meta")
