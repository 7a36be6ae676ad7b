"""Run torch.export on a graph, with free axes: `.pt2` files and ONNX files are both made from the result."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.export import Dim, ExportedProgram

from strokereg.export.graph import Graph
from strokereg.export.inputs import Inputs

_AXES = ("depth", "height", "width")


def program_of(graph: Graph, example: Inputs) -> ExportedProgram:
    """Export a graph with free batch and spatial sizes; done once for each graph, since it is slow.

    Args:
        example: inputs with at least two items and no size at its smallest, so that nothing is specialised.
    """
    if graph.program is None:
        inputs = tuple(torch.from_numpy(example[name]) for name in graph.inputs)
        with quiet():
            graph.program = torch.export.export(graph, inputs, dynamic_shapes=dynamic_shapes(graph))
    return graph.program


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the deprecations that torch.export and its ONNX exporter report about themselves."""
    logs = [logging.getLogger(name) for name in ("torch.export", "torch.onnx")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def dynamic_shapes(graph: Graph) -> tuple[dict, ...]:
    """One dict an input: axis → its `Dim`. The batch is free, spatial edges are multiples of the network's steps."""
    batch = Dim("batch")
    shapes = []
    for name in graph.inputs:
        axes = {0: batch}
        if name == graph.spatial:
            names = _AXES[-graph.record.problem.dims :]
            sizes = zip(names, graph.sizes.steps, graph.sizes.smallest, strict=True)
            for i, (axis, step, least) in enumerate(sizes):
                size = Dim(axis, min=least // step)
                axes[graph.first_axis + i] = step * size if step > 1 else size
        shapes.append(axes)
    return tuple(shapes)
