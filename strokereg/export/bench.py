"""How fast the same network is by every way that this machine has, as ratios of one interleaved run.

Rounds go through all ways in turn, so whatever else the machine does meanwhile slows each of them alike; a ratio is the
median over rounds of two times taken seconds apart. No torch here: `export.timing` brings the ways that need it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from strokereg.export.formats import SUFFIXES, holds_network
from strokereg.export.metadata import Bundle
from strokereg.export.verify.probe import Inputs, draw_inputs
from strokereg.registry.errors import InputError

Run = Callable[[Inputs], np.ndarray]

_GRAIN = 0.05  # of the borders in `head_labels`, chosen by the shares that it tells
_WARM = 2  # calls that are not timed: engines plan and allocate in them


class Timing(BaseModel):
    """One way to run a network.

    Attributes:
        way: engine and precision.
        latency_ms: of one item, median.
        items_per_second: of whole batches, median.
        latency_ratio, throughput_ratio: how many times as fast as the first way, median over rounds; above 1 is faster.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    way: str
    latency_ms: float
    items_per_second: float
    latency_ratio: float
    throughput_ratio: float


class Timings(BaseModel):
    """All ways of one run.

    Attributes:
        architecture, role: of the network.
        size: of an item, [Z,] Y, X.
        batch: items of a batch.
        threads: of a run on the CPU; 0 is every engine's own choice.
        absent: way → why it is not here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    role: str
    size: tuple[int, ...]
    batch: int
    rounds: int
    threads: int
    ways: tuple[Timing, ...]
    absent: dict[str, str] = {}


def time_ways(
    ways: Mapping[str, Run], bundle: Bundle, rounds: int, batch: int, size: tuple[int, ...], threads: int = 0
) -> Timings:
    """Time every way on one item and on a batch, interleaved.

    Args:
        ways: name → a function that runs the graph; the first is what the others are compared with.
        bundle: says what inputs the graph takes.
        size: of an item, [Z,] Y, X; not used for generators.
    """
    seconds: dict[int, dict[str, list[float]]] = {}
    for count in (1, batch):
        inputs = draw_inputs(
            bundle.role,
            len(bundle.channels),
            len(bundle.labels),
            bundle.noise,
            count,
            size,
            np.random.RandomState(0),
            bundle.preparation.measured,
        )
        if bundle.role == "translator":
            inputs["labels"] = head_labels(len(bundle.labels), count, size)
        for run in ways.values():
            for _ in range(_WARM):
                run(inputs)
        seconds[count] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, run in ways.items():
                start = time.perf_counter()
                run(inputs)
                seconds[count][name].append(time.perf_counter() - start)
    first = next(iter(ways))
    return Timings(
        architecture=bundle.architecture,
        role=bundle.role,
        size=size,
        batch=batch,
        rounds=rounds,
        threads=threads,
        ways=tuple(
            Timing(
                way=name,
                latency_ms=1000.0 * statistics.median(seconds[1][name]),
                items_per_second=batch / statistics.median(seconds[batch][name]),
                latency_ratio=_ratio(seconds[1], first, name),
                throughput_ratio=_ratio(seconds[batch], first, name),
            )
            for name in ways
        ),
    )


def head_labels(labels: int, batch: int, size: tuple[int, ...]) -> np.ndarray:
    """Label maps int64 [N, *S] with areas and borders as in a head, the last label a lesion.

    Noise would not do: graphs with `label_tables` gain from what repeats, and in noise nothing does. Of 8 slices of
    real anatomy (64 × 64, 3 mm) 39 % of the arrangements of 5 × 5 labels differ, at half size 54 %, at a quarter 79 %;
    of these here 39, 72 and 90 %. Of 3 × 3 it is 13, 42 and 53 %, and here 3, 41 and 57 %.
    """
    grid = np.stack(np.meshgrid(*(np.linspace(-1.2, 1.2, edge) for edge in size), indexing="ij"))
    angle, rng = np.arctan2(grid[-2], grid[-1]), np.random.RandomState(0)
    maps = []
    for number in range(batch):
        # Shells with folds, and a ragged grain that is two voxels wide.
        grain = rng.standard_normal(size)
        for axis in range(len(size)):
            grain = (grain + np.roll(grain, 1, axis)) / 2.0
        radius = np.sqrt((grid**2).sum(0)) * (1.0 + 0.06 * np.sin(9.0 * angle + number)) + _GRAIN * grain
        inner = np.clip(((1.0 - radius) * (labels - 1)).astype(int) + 1, 1, max(1, labels - 2))
        lesion = ((grid - 0.3) ** 2).sum(0) < 0.02 + 0.002 * number
        maps.append(np.where(radius > 1.0, 0, np.where(lesion, labels - 1, inner)))
    return np.stack(maps).astype(np.int64)


def siblings(file: Path) -> list[Path]:
    """A file and those that lie beside it of the same network: `unet.onnx`, `unet.int8.onnx`, `unet.pt` …

    Raises:
        InputError: the file takes whole scans, not what a network takes.
    """
    if file.name.endswith(SUFFIXES["scan"]):
        raise InputError(f"{file}: holds a whole scan's way, and networks are timed; give the network's own file")
    base = file.name.split(".")[0]
    beside = sorted(path for path in file.parent.glob(f"{base}.*") if holds_network(path))
    return [file, *(path for path in beside if path != file)]


def _ratio(seconds: dict[str, list[float]], first: str, name: str) -> float:
    return statistics.median(a / b for a, b in zip(seconds[first], seconds[name], strict=True))
