"""Compare an exported file with the trained network, on cohort cases and edge sizes, before it is released."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from strokereg.export.graph import Graph
from strokereg.export.inputs import Inputs, RunGraph, batches
from strokereg.export.metadata import AGREEMENT, TOLERANCE, Parity
from strokereg.registry.errors import RunFailed

_BATCH = 16


def measure(run: RunGraph, graph: Graph, model: nn.Module, samples: Iterable[Inputs], threshold: float) -> Parity:
    """Compare an exported file with the network that it came from.

    Args:
        run: runs the file.
        graph: names the inputs, draws edge cases and knows the reference way through `model`.
        model: the trained network.
        samples: inputs from cases of a cohort, with any number of items.
        threshold: least probability of a lesion voxel.
    """
    rng = np.random.RandomState(0)
    samples = [{name: sample[name] for name in graph.inputs} for sample in samples]
    tried = [*samples, *(graph.random(batch, size, rng) for batch, size in graph.sizes.edges)]
    largest, same, voxels = 0.0, 0, 0
    for inputs in (part for sample in tried for part in batches(sample, _BATCH)):
        with torch.inference_mode():
            expected = graph.reference(model, inputs).numpy()
        got = run(inputs)
        if got.shape != expected.shape:
            raise RunFailed(f"the exported file gives shape {got.shape} where the network gives {expected.shape}")
        # np.maximum keeps NaN, which then misses the gate.
        largest = float(np.maximum(largest, np.abs(got - expected).max()))
        same += int(((got >= threshold) == (expected >= threshold)).sum())
        voxels += expected.size
    first = next(iter(graph.inputs))
    shapes = dict.fromkeys(tuple(sample[first].shape) for sample in tried)
    agreeing = same / voxels if graph.masks else None
    return Parity(largest_difference=largest, agreeing_voxels=agreeing, cases=len(samples), shapes=tuple(shapes))


def require(parity: Parity, what: str) -> None:
    """Refuse a float32 file whose parity does not hold.

    Args:
        what: the file and what it should equal, such as `unet.onnx is not the trained network`.

    Raises:
        RunFailed: with the numbers.
    """
    if not parity.holds:
        raise RunFailed(f"{what}: {parity}; allowed are {TOLERANCE:g} and {100 * AGREEMENT:g} % of voxels")
