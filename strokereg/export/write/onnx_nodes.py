"""Nodes and constants for passes that replace a part of an ONNX graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Nodes:
    """New nodes with a common prefix; constants go into the graph at once, nodes with `place`.

    Args:
        graph: gets the constants.
        prefix: of every name.
    """

    def __init__(self, graph: onnx.GraphProto, prefix: str) -> None:
        self.graph, self.prefix = graph, prefix
        self.made: list[onnx.NodeProto] = []
        self._constants: dict[tuple, str] = {}

    def constant(self, value: np.ndarray | np.generic | int | Sequence[int]) -> str:
        """The name of a constant, int64 for Python integers; equal constants are kept once."""
        array = np.asarray(value)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"{self.prefix}_constant_{len(self._constants)}"
            self.graph.initializer.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The output of a new node."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """The outputs of a new node."""
        name = f"{self.prefix}_{len(self.made)}_{kind.lower()}"
        names = [f"{name}_{number}" for number in range(outputs)]
        self.made.append(helper.make_node(kind, inputs, names, name, **attributes))
        return names

    def finish(self, name: str) -> None:
        """Name the output of the last node."""
        self.made[-1].output[0] = name


def place(graph: onnx.GraphProto, new: Mapping[str, list[onnx.NodeProto]], dropped: Collection[str]) -> None:
    """Insert and remove nodes of a graph, and remove constants that are no longer used.

    Args:
        new: first output of a node → the nodes to insert before it.
        dropped: first outputs of the nodes to remove.
    """
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes += new.get(node.output[0], [])
        if node.output[0] not in dropped:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    constants = [entry for entry in graph.initializer if entry.name in used]
    for entries, kept in ((graph.node, nodes), (graph.initializer, constants)):
        copies = [type(entry).FromString(entry.SerializeToString()) for entry in kept]
        del entries[:]  # would empty the entries themselves, hence the copies
        entries.extend(copies)
