"""Two processes give what one gives with the whole batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from strokereg.core.train.distributed import ProcessGroup, join_process_group
from strokereg.registry.errors import InputError

SCRIPT = Path(__file__).with_name("two_processes.py")
TOLERANCE = 1e-5  # of weights of order 0.1 after 20 steps: sums over two parts round differently


def run(folder, *launcher):
    folder.mkdir()
    command = [sys.executable, *launcher, str(SCRIPT), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return {path.stem: torch.load(path, weights_only=True) for path in folder.glob("rank*.pt")}


@pytest.mark.slow
def test_two_processes_are_as_one_with_the_doubled_batch(tmp_path):
    [alone] = run(tmp_path / "one").values()
    both = run(tmp_path / "two", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert set(both) == {"rank0", "rank1"}
    for name, weights in alone.items():
        assert torch.equal(both["rank0"][name], both["rank1"][name])
        assert (both["rank0"][name] - weights).abs().max() < TOLERANCE
    histories = [(tmp_path / which / "history.csv").read_text().splitlines() for which in ("one", "two")]
    assert len(histories[0]) == len(histories[1]) == 1 + 20 * 3  # one process writes
    ends = [float(lines[-1].rpartition(",")[2]) for lines in histories]
    assert ends[0] == pytest.approx(ends[1], rel=1e-3)
    # One for the gradients of each of two players in each of 20 steps, and one for the losses of each reading.
    assert int((tmp_path / "two" / "reduced").read_text()) == 20 * 2 + 4


def test_alone_nothing_changes(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_process_group() == ProcessGroup(0, 1)
    assert ProcessGroup().part(7) == slice(0, None, 1)
    values = torch.tensor([0.1, 0.2])
    assert ProcessGroup().mean(values) is values


def test_a_batch_is_dealt_out():
    assert [list(range(6)[ProcessGroup(rank, 3).part(6)]) for rank in range(3)] == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(InputError, match="--batch-size 6: 4 processes cannot share it evenly; give a multiple of 4"):
        ProcessGroup(0, 4).part(6)


@pytest.fixture
def started(monkeypatch):
    """As the second of two processes that torchrun started on a machine with one GPU; gives the backends asked for."""
    backends = []
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **settings: backends.append(backend))
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    return backends


def test_processes_on_the_cpu_of_a_gpu_machine_talk_through_gloo(started):
    assert join_process_group("cpu") == ProcessGroup(1, 2)
    assert started == ["gloo"]


def test_processes_on_gpus_talk_through_nccl(started, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    join_process_group("auto")
    assert started == ["nccl"]


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("auto", "torchrun: 2 processes, but 1 CUDA GPUs on this machine; give --nproc-per-node=1, or --device cpu"),
        ("cuda:1", "--device cuda:1: torchrun gives each process a GPU of its own; give --device cuda"),
    ],
)
def test_gpus_that_do_not_suffice_are_one_sentence(started, device, said):
    with pytest.raises(InputError) as error:
        join_process_group(device)
    assert str(error.value) == said
    assert started == []
