"""Is the exported file the trained network? Measured on cohort cases and edge sizes before a file is released."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import nn

from strokereg.export.graph import Graph, Inputs
from strokereg.export.metadata import Parity
from strokereg.registry.errors import RunFailed

_BATCH = 16


def measure(
    run: Callable[[Inputs], np.ndarray], graph: Graph, model: nn.Module, samples: Iterable[Inputs], threshold: float
) -> Parity:
    """Compare an exported file with the network that it came from.

    Args:
        run: runs the file.
        graph: names the inputs, makes edge cases and knows the reference way through `model`.
        samples: inputs from cases of a cohort, N of any size.
        threshold: where a probability becomes lesion.
    """
    rng = np.random.RandomState(0)
    samples = [{name: sample[name] for name in graph.inputs} for sample in samples]
    tried = [*samples, *(graph.random(batch, size, rng) for batch, size in graph.sizes.edges)]
    largest, same, voxels = 0.0, 0, 0
    for inputs in (part for sample in tried for part in _batches(sample)):
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


def _batches(inputs: Inputs) -> Iterator[Inputs]:
    count = len(next(iter(inputs.values())))
    for start in range(0, count, _BATCH):
        yield {name: array[start : start + _BATCH] for name, array in inputs.items()}
