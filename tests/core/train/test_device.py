"""Devices, precisions, seeds, and the guard for thin volumes in bf16."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from strokereg.core.roles import Batch, Player
from strokereg.core.train.device import (
    choose_device,
    choose_precision,
    compile_networks,
    describe_hardware,
    seed_everything,
    units_at_once,
)
from strokereg.core.train.trainer import Trainer, TrainerSettings
from strokereg.registry.errors import InputError


def draw(step, device, progress):
    return Batch(torch.zeros(1), torch.zeros(1), torch.zeros(1), progress)


@pytest.mark.parametrize(
    ("amx", "avx", "chosen"), [(False, False, "fp32"), (True, False, "bf16"), (False, True, "bf16")]
)
def test_auto_takes_bf16_on_cpus_that_compute_in_it(monkeypatch, amx, avx, chosen):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)
    assert choose_precision("auto", torch.device("cpu")) == chosen


def test_devices_and_precisions_that_are_not_there():
    assert choose_device("cpu").type == "cpu"
    assert choose_precision("fp32", torch.device("cpu")) == "fp32"
    with pytest.raises(InputError, match="needs a CUDA GPU"):
        choose_precision("fp16", torch.device("cpu"))
    with pytest.raises(InputError, match="no such device"):
        choose_device("abacus")
    with pytest.raises(InputError, match="--device meta: not supported; choose auto or cpu"):
        choose_device("meta")


@pytest.mark.parametrize(
    ("built", "gpus", "message"),
    [
        (None, 0, "this torch was built without CUDA"),
        ("13.0", 0, "the NVIDIA driver is not installed or finds no GPU"),
        ("13.0", 2, "this machine has 2 GPUs, counted from 0"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused_with_what_is_missing(monkeypatch, built, gpus, message):
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(InputError, match=f"--device cuda:2: {message}; choose auto or cpu"):
        choose_device("cuda:2")


@pytest.mark.parametrize(
    ("size", "count"), [((64, 64), 16), ((256, 256), 16), ((512, 512), 4), ((32, 64, 64), 8), ((96, 128, 128), 1)]
)
def test_fewer_images_at_once_the_larger_they_are(size, count):
    assert units_at_once(size) == count


def test_every_network_is_compiled_that_moves_may_call(monkeypatch):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(1, 1))
            self.heads = nn.ModuleList([nn.Linear(1, 1), nn.ModuleDict({"fine": nn.ReLU()})])

    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    model = Two()
    compile_networks(model)
    assert set(compiled) == {model, model.body, model.heads[0], model.heads[1]["fine"]}


def test_thin_volumes_train_soundly_in_bf16(tmp_path):
    """Without the guard their weight gradients hold what lay in memory before: NaN, or another number each time."""

    class Thin(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layers = nn.Sequential(nn.Conv3d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv3d(32, 16, 3, padding=1))

        def players(self):
            return {"net": Player(list(self.parameters()), lr=1e-2)}

        def moves(self, batch):
            litter = [torch.full((size,), float("nan")) for size in (1_000, 20_000, 100_000)]
            del litter  # what is given back is what a fresh buffer may hold
            x = torch.linspace(-1, 1, 2 * 16 * 8).reshape(2, 16, 2, 2, 2)
            yield "net", {"loss": (self.layers(x).float() - x).square().mean()}

    def weights(name):
        (tmp_path / name).mkdir()
        settings = TrainerSettings(steps=10, precision="bf16", device="cpu")
        model = Trainer(Thin(), "thin", draw, settings, tmp_path / name).fit()
        assert "forward" not in vars(model.layers[0])  # nothing of the guard stays
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    first = weights("0")
    assert first.isfinite().all()
    assert all(torch.equal(first, weights(str(again))) for again in range(1, 4))


def test_one_seed_for_every_global_generator():
    def drawn(*parts):
        seed_everything(*parts)
        return torch.rand(()).item(), np.random.rand(), random.random()

    assert drawn(1, 2) == drawn(1, 2)
    assert not set(drawn(1, 2)) & set(drawn(1, 3))
    assert drawn(1, 2) != drawn(12)


def test_the_machine_of_a_training_is_described(monkeypatch):
    found = describe_hardware("cpu", threads=3)
    assert found["threads"] == 3
    assert found["cores"] >= 1
    assert found["memory_gb"] > 0.1
    assert found["processor"]
    assert "gpu" not in found

    class Properties:
        total_memory = 24e9

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA L4")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    found = describe_hardware("cuda", threads=1)
    assert (found["gpu"], found["gpu_memory_gb"], found["cuda"]) == ("NVIDIA L4", 24.0, "13.0")
