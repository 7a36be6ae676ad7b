"""Images a second of exported translators beside PyTorch: the same network in eager float32, and two other SPADEs.

`strokereg` and `eager` are one network; NVIDIA's form has the same widths (batch norm without parameters, a residual
block at every scale, label maps made small by nearest neighbour). MONAI's SPADENet is another network: it has its fixed
input shape, no noise, a block less, and its last block works at half size, so it has far less to do.
Weights are untrained, which changes no time; label maps are shells with folds, as in a head.
One thread; rounds are interleaved, and what is counted is the processor's time, so a busy machine does little harm:
`pytest benchmarks/test_translators.py -s`.
"""

from __future__ import annotations

import json
import statistics
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.scan.grid import Preparation
from strokereg.core.train.record import Record
from strokereg.export.exporter import ExportData, ExportSettings, export_model
from strokereg.export.runtime.session import EngineSettings, OnnxRuntime, OpenVino
from strokereg.export.verify.timing import head_labels
from strokereg.registry.catalogue import build
from strokereg.registry.problem import Problem

SIZE, BATCH, ROUNDS, LABELS = (64, 64), 8, 7, len(TISSUES.names)
NARROW = {"pix2pix": {"ngf": 24}, "spade": {"ngf": 32, "hidden": 128}}


class NvidiaNorm(nn.Module):
    """Batch norm whose scale and shift come from the label map (Park 2019)."""

    def __init__(self, width: int, hidden: int = 128):
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.shared = nn.Conv2d(LABELS, hidden, 3, padding=1)
        self.scale, self.shift = (nn.Conv2d(hidden, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        hidden = F.relu(self.shared(F.interpolate(maps, size=x.shape[2:])))
        return self.norm(x) * (1.0 + self.scale(hidden)) + self.shift(hidden)


class NvidiaBlock(nn.Module):
    """Residual block of two modulated convolutions."""

    def __init__(self, before: int, width: int):
        super().__init__()
        middle = min(before, width)
        self.norms = nn.ModuleList([NvidiaNorm(before), NvidiaNorm(middle)])
        self.convs = nn.ModuleList([nn.Conv2d(before, middle, 3, padding=1), nn.Conv2d(middle, width, 3, padding=1)])
        self.short = nn.ModuleList([NvidiaNorm(before), nn.Conv2d(before, width, 1, bias=False)])
        self.learned = before != width

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        short = self.short[1](self.short[0](x, maps)) if self.learned else x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = conv(F.leaky_relu(norm(x, maps), 0.2))
        return short + x


class NvidiaSpade(nn.Module):
    """Generator in NVIDIA's form with the widths of ours: noise, then a block at every scale."""

    def __init__(self, widths: tuple[int, ...], noise: int):
        super().__init__()
        self.dense = nn.Linear(noise, widths[0] * 16)
        self.blocks = nn.ModuleList(NvidiaBlock(a, b) for a, b in zip((widths[0], *widths), widths, strict=False))
        self.head = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, maps: Tensor, z: Tensor) -> Tensor:
        x = self.dense(z).reshape(len(z), -1, 4, 4)
        for depth, block in enumerate(self.blocks):
            x = block(F.interpolate(x, scale_factor=2.0) if depth else x, maps)
        return self.head(F.leaky_relu(x, 0.2)).tanh()


@pytest.mark.parametrize("name", NARROW)
def test_images_a_second(name, tmp_path, capsys):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    record = Record(
        architecture=name,
        role="translator",
        problem=Problem(size=SIZE),
        preparation=Preparation(size=(64, 64, 16), multiple=(32, 32, 1)),
        labels=TISSUES.names,
        done=True,
    )
    network = build(name, record.problem, NARROW[name]).eval()
    inputs = {"labels": head_labels(LABELS, BATCH, SIZE)}
    if name == "spade":
        inputs["noise"] = np.random.default_rng(0).standard_normal((BATCH, network.noise), dtype=np.float32)
    # The gate is for trained weights; what is measured here is time.
    settings, data = ExportSettings(precisions=("fp32", "int8"), force=True), ExportData([inputs], calibration=[inputs])
    full, small = export_model(network, record, tmp_path, settings, data)
    ways = {
        "eager": _torch(network, inputs),
        "strokereg, onnxruntime": OnnxRuntime(full, settings=EngineSettings(device="cpu", threads=1)).run,
        "strokereg, int8, onnxruntime": OnnxRuntime(small, settings=EngineSettings(device="cpu", threads=1)).run,
        "strokereg, int8, OpenVINO": OpenVino(small, "int8", 1).run,
    }
    if name == "spade":
        ways |= _peers(network, inputs)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for run in ways.values():
        assert run(inputs).shape == (BATCH, 1, *SIZE)
    for _ in range(ROUNDS):
        for way, run in ways.items():
            start = time.process_time()
            run(inputs)
            seconds[way].append(time.process_time() - start)
    table = {way: _row(seconds["eager"], taken) for way, taken in seconds.items()}
    with capsys.disabled():
        print(f"\n{name}, {BATCH} images of {SIZE}\n{json.dumps(table, indent=2)}")


def _torch(network: nn.Module, inputs: dict[str, np.ndarray], maps: bool = False):
    """A function that runs a network on the inputs, its label maps one-hot where it wants them so."""
    given = [torch.from_numpy(array) for array in inputs.values()]
    if maps:
        given[0] = F.one_hot(given[0], LABELS).movedim(-1, 1).float()

    def run(_: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            made = network(*given)
        return (made[0] if isinstance(made, (tuple, list)) else made).numpy()

    return run


def _peers(network: nn.Module, inputs: dict[str, np.ndarray]) -> dict:
    from monai.networks.nets import SPADENet

    widths = tuple(block.conv2.out_channels for block in network.generator.blocks)
    nvidia = NvidiaSpade(widths, network.noise).eval()
    halved = list(widths[-2::-1])  # from fine to coarse; MONAI turns it round
    monai = SPADENet(2, 1, 1, label_nc=LABELS, input_shape=list(SIZE), channels=halved, is_vae=False).eval()
    return {
        "NVIDIA's form, eager": _torch(nvidia, inputs, maps=True),
        "MONAI SPADENet, eager": _torch(monai, {"labels": inputs["labels"]}, maps=True),
    }


def _row(eager: list[float], taken: list[float]) -> dict[str, float]:
    return {
        "images a second": round(BATCH / statistics.median(taken), 1),
        "times as fast as eager": round(statistics.median(a / b for a, b in zip(eager, taken, strict=True)), 2),
    }
