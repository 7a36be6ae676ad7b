"""Where the processes of a study run."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from strokereg.core.study.plan import Task, TaskKind
from strokereg.core.study.slots import Slots, default_slots, needs_device


def filled(slots, *with_network):
    """The places that these tasks get, one after the other."""
    busy = []
    for one in with_network:
        place = slots.place([gpu for gpu in busy if gpu is not None], one)
        busy.append(place)
    return busy


def test_without_gpus_there_are_as_many_processes_as_asked_for():
    assert filled(Slots(2), True, False, True) == ["", "", None]


def test_trainings_spread_over_the_gpus_and_other_work_runs_beside_them():
    slots = Slots(workers=6, gpus=("0", "1", "0", "1"))
    assert filled(slots, True, True, True, True, True) == ["0", "1", "0", "1", None]
    assert filled(slots, False, False, False) == ["", "", None]  # two processes do not need the four places
    assert filled(slots, True, False, True, False, True) == ["0", "", "1", "", "0"]


def test_all_gpus_busy_leaves_room_for_work_without_a_network():
    assert filled(Slots(1, ("0",)), False, True) == ["", None]
    assert filled(Slots(2, ("0", "1")), True, False, True) == ["0", "", None]


@pytest.fixture
def gpus(monkeypatch):
    """A machine with two GPUs, of 80 and of 12 GB."""
    memory = [80 * 10**9, 12 * 10**9]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda n: SimpleNamespace(total_memory=memory[n]))
    monkeypatch.setattr("strokereg.core.study.slots.count_cores", lambda: 8)


@pytest.mark.parametrize(
    ("device", "workers", "slots"),
    [
        ("cuda", None, Slots(13, ("0", "1", "0", "0", "0"))),
        ("cuda:1", None, Slots(9, ("1",))),
        ("cuda", 3, Slots(3, ("0", "1", "0"))),
        ("cuda:0", 2, Slots(2, ("0", "0"))),
        ("cpu", None, Slots(8)),
        ("cpu", 3, Slots(3)),
        ("mps", None, Slots(1)),
    ],
)
def test_places_by_default(gpus, device, workers, slots):
    assert default_slots(torch.device(device), workers) == slots


def test_gpus_are_called_as_the_environment_calls_them(gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-8932f937")
    assert default_slots(torch.device("cuda:1")).gpus == ("GPU-8932f937",)
    assert default_slots(torch.device("cuda"), 2).gpus == ("5", "GPU-8932f937")


def test_a_cpu_has_a_place_for_each_core():
    assert 1 <= default_slots(torch.device("cpu")).workers <= (os.cpu_count() or 1)


def test_only_a_mixer_needs_no_device():
    context = SimpleNamespace(mixes=lambda name: name == "carvemix")
    made = {name: Task(TaskKind.DATABASE, name, name, 1, 0) for name in ("carvemix", "pix2pix")}
    assert not needs_device(context, made["carvemix"])
    assert needs_device(context, made["pix2pix"])
    assert needs_device(context, Task(TaskKind.SEGMENTER, "k", "carvemix", 1, 0))
