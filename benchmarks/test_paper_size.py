"""A 3D pix2pix at the paper's size: 128 x 128 x 96 voxels, 40 labels, 64 base filters, batch of one.

Runs in a process of its own, whose largest memory is then that of the training. Takes minutes and about 11 GB.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SIZE = (96, 128, 128)
SCRIPT = """
import json, resource, sys, tempfile, time
from pathlib import Path
import torch
from strokereg import create
from strokereg.core.roles import Batch
from strokereg.core.train.trainer import Trainer, TrainerSettings

name, precision, size = sys.argv[1], sys.argv[2], tuple(json.loads(sys.argv[3]))
model = create(name, dims=3, labels=40, size=size)
labels = torch.randint(40, (1, *size))
batch = Batch(labels, torch.rand(1, 1, *size) * 2 - 1, (labels == 39).float()[:, None])
ends = [time.perf_counter()]
with tempfile.TemporaryDirectory() as folder:
    settings = TrainerSettings(steps=3, precision=precision, threads=torch.get_num_threads())
    losses = []
    def on_step(step, said):
        ends.append(time.perf_counter())
        losses.append(said)
    Trainer(model, name, lambda *_: batch, settings, Path(folder), on_step).fit()
print(json.dumps({
    "seconds": [b - a for a, b in zip(ends, ends[1:])],
    "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    "finite": all(v == v for said in losses for v in said.values()),
    "parameters": sum(p.numel() for p in model.parameters()),
}))
"""


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_three_steps(benchmark, precision):
    def run():
        words = [sys.executable, "-c", SCRIPT, "pix2pix", precision, json.dumps(SIZE)]
        return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    said = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(said)
    print(precision, said)
    assert said["finite"]
