"""Two processes give what one gives with the whole batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from strokereg.core.roles import Batch
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


def test_alone_nothing_changes(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_process_group() == ProcessGroup(0, 1)
    batch = Batch(torch.zeros(4, 2, 2), torch.rand(4, 1, 2, 2), torch.zeros(4, 1, 2, 2))
    assert ProcessGroup().part(batch) is batch
    assert ProcessGroup().agree(0.1) == 0.1


def test_a_batch_is_dealt_out():
    batch = Batch(torch.arange(6)[:, None, None], torch.arange(6.0)[:, None, None, None], torch.zeros(6, 1, 1, 1))
    parts = [ProcessGroup(rank, 3).part(batch).labels.flatten().tolist() for rank in range(3)]
    assert parts == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(InputError, match="--batch-size 6: 4 processes cannot share it evenly; give a multiple of 4"):
        ProcessGroup(0, 4).part(batch)
