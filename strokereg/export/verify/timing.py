"""Time several engines on the same network, as ratios of interleaved rounds. No torch here.

Each round calls every engine once, so other load on the machine slows all of them alike. A ratio is the median over
rounds of two times taken seconds apart.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from strokereg.export.inputs import InputForm, RunGraph
from strokereg.export.metadata import Bundle
from strokereg.registry.specs import Role

_GRAIN = 0.05  # of the borders in `head_labels`, chosen to match the shares given there
_WARM = 2  # calls that are not timed: engines plan and allocate in them


@dataclass(frozen=True)
class BenchSettings:
    """How to time a network.

    Attributes:
        rounds: calls of each engine.
        batch: items of a batch; by default 16, and in 3D one.
        size: of an item, [Z,] Y, X; by default the size trained on.
        threads: of a run on the CPU; 0 leaves it to each engine.
        compiled: also time `torch.compile`, which takes a minute to warm up.
    """

    rounds: int = 20
    batch: int | None = None
    size: tuple[int, ...] | None = None
    threads: int = 0
    compiled: bool = False


class Timing(BaseModel):
    """The time of one engine.

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
    """The times of all engines.

    Attributes:
        architecture, role: of the network.
        size: of an item, [Z,] Y, X.
        batch: items of a batch.
        threads: of a run on the CPU; 0 is each engine's own choice.
        absent: engine that could not be timed → reason.
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
    ways: Mapping[str, RunGraph], bundle: Bundle, size: tuple[int, ...], batch: int, settings: BenchSettings
) -> Timings:
    """Time every engine on one item and on a batch, in interleaved rounds.

    Args:
        ways: name → a function that runs the graph; the others are compared with the first.
        bundle: of the network, for its inputs.
        size: of an item, [Z,] Y, X; not used for generators.
        batch: items of a batch.
        settings: rounds, and the threads that were used.
    """
    seconds: dict[int, dict[str, list[float]]] = {}
    for count in (1, batch):
        inputs = InputForm.of(bundle).draw(count, size, np.random.RandomState(0))
        if bundle.role == Role.TRANSLATOR:
            inputs["labels"] = head_labels(len(bundle.labels), count, size)
        for run in ways.values():
            for _ in range(_WARM):
                run(inputs)
        seconds[count] = {name: [] for name in ways}
        for _ in range(settings.rounds):
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
        rounds=settings.rounds,
        threads=settings.threads,
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
    """Label maps int64 [N, *S] with areas and borders as in a head; the last label is a lesion.

    Random labels would be unfair to graphs with `label_tables`, which gain from repeated arrangements. In 8 slices of
    real anatomy (64 × 64, 3 mm) 39 % of the arrangements of 5 × 5 labels differ, at half size 54 %, at a quarter 79 %;
    here 39, 72 and 90 %. For 3 × 3 labels it is 13, 42 and 53 %; here 3, 41 and 57 %.
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


def _ratio(seconds: dict[str, list[float]], first: str, name: str) -> float:
    return statistics.median(a / b for a, b in zip(seconds[first], seconds[name], strict=True))
