"""Which axes of a graph's inputs are free, for `torch.export` and for the ONNX exporter that builds on it."""

from __future__ import annotations

from torch.export import Dim

from strokereg.export.graph import Graph

_AXES = ("depth", "height", "width")


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
