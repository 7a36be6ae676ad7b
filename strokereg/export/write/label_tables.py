"""Replace convolutions over label maps by table look-ups, which compute each arrangement of labels once.

Most of SPADE's time goes into its modulation maps (Park 2019): conv → ReLU → conv over one-hot label maps. The first
convolution sees 3 × 3 labels, and few arrangements differ. The graph numbers these arrangements, and computes the
hidden vector of each and its products with the taps of the second convolution once. Then it adds rows of tables, along
one axis after the other, once for each 5 × 5 arrangement. The products equal those of the convolutions; only the order
of the sums differs.

Arrangements are numbered by sorting codes, integers below 2^63. A code holds the labels of a voxel as bits (several
labels at coarse levels, whose maps are max-pooled), then three neighbours along one axis after the other. If codes
would exceed 63 bits, they are replaced by their rank first. Zero always means "outside the image".

OpenVINO computes all integers in 32 bits and would give wrong images. `ExpandDims`, an operator that only onnxruntime
has, makes it refuse the file instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper

from strokereg.export.write.onnx_nodes import Nodes, place

_BITS = 63  # of a positive int64
_COUNTED = 21  # bits of a counted code: three of them fit, and a call has fewer than two million voxels
_LABELS = 21  # most labels whose bits a float32 holds, three voxels of them an int64
_HIDDEN = 64  # filters between the convolutions from which tables were measured to gain
_OWN_DOMAIN = "com.microsoft"
_END = np.iinfo(np.int64).max


@dataclass
class _End:
    """An output of a chain: a range of its channels, and a constant added to them."""

    name: str
    start: int
    stop: int
    added: np.ndarray | None = None


@dataclass
class _Chain:
    """Convolution, ReLU and convolution over a label map, and the following nodes that go into the tables."""

    first: onnx.NodeProto
    second: onnx.NodeProto
    ends: list[_End]
    nodes: list[onnx.NodeProto] = field(default_factory=list)

    @property
    def maps(self) -> str:
        return self.first.input[0]


def rewrite(model: onnx.ModelProto, hidden: int = _HIDDEN) -> int:
    """Replace such chains in the main graph of a 2D network.

    Args:
        hidden: least number of filters between the two convolutions; chains with fewer stay.

    Returns:
        Number of replaced chains.
    """
    graph = model.graph
    weights = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    groups: dict[str, list[_Chain]] = {}
    for chain in _chains(graph, weights):
        if weights[chain.first.input[1]].shape[0] >= hidden:
            groups.setdefault(chain.maps, []).append(chain)
    if not groups:
        return 0
    new: dict[str, list[onnx.NodeProto]] = {}
    for number, chains in enumerate(groups.values()):
        nodes = Nodes(graph, f"table_{number}")
        _replace(nodes, chains, weights)
        new[chains[0].first.output[0]] = nodes.made
    dropped = {node.output[0] for chains in groups.values() for chain in chains for node in chain.nodes}
    place(graph, new, dropped)
    model.opset_import.append(onnx.helper.make_opsetid(_OWN_DOMAIN, 1))
    return sum(len(chains) for chains in groups.values())


def _chains(graph: onnx.GraphProto, weights: dict[str, np.ndarray]) -> Iterator[_Chain]:
    makers = {output: node for node in graph.node for output in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def only_user(name: str, kind: str) -> onnx.NodeProto | None:
        found = users.get(name, [])
        return found[0] if len(found) == 1 and found[0].op_type == kind else None

    for first in graph.node:
        if not _is_plain(first, weights) or weights[first.input[1]].shape[1] > _LABELS:
            continue
        relu = only_user(first.output[0], "Relu")
        second = only_user(relu.output[0], "Conv") if relu else None
        if not (relu and second and _is_plain(second, weights) and _is_label_map(first.input[0], makers)):
            continue
        chain = _Chain(first, second, [_End(second.output[0], 0, weights[second.input[1]].shape[0])])
        chain.nodes += [first, relu, second]
        split = only_user(second.output[0], "Split")
        if split and _axis(split) == 1 and (len(split.input) == 1 or split.input[1] in weights):
            chain.ends = _parts(split, chain.ends[0].stop, weights)
            chain.nodes.append(split)
        for end in chain.ends:
            add = only_user(end.name, "Add")
            other = next((x for x in add.input if x != end.name), "") if add else ""
            if add and other in weights and weights[other].size == 1:
                end.name, end.added = add.output[0], weights[other]
                chain.nodes.append(add)
        yield chain


def _axis(node: onnx.NodeProto) -> int:
    return next((entry.i for entry in node.attribute if entry.name == "axis"), 0)


def _parts(split: onnx.NodeProto, channels: int, weights: dict[str, np.ndarray]) -> list[_End]:
    """The outputs of a Split; without sizes they are equal, and the last takes the rest."""
    equal = -(-channels // len(split.output))
    sizes = weights[split.input[1]].tolist() if len(split.input) == 2 else [equal] * len(split.output)
    edges = np.minimum(np.cumsum([0, *sizes]), channels).tolist()
    return [_End(name, *edges[number : number + 2]) for number, name in enumerate(split.output)]


def _is_plain(node: onnx.NodeProto, weights: dict[str, np.ndarray]) -> bool:
    """A 2D convolution of three voxels a side with bias, which keeps the size."""
    if node.op_type != "Conv" or len(node.input) != 3 or any(name not in weights for name in node.input[1:]):
        return False
    given = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    unit = all(given.get(name, [1, 1]) == [1, 1] for name in ("strides", "dilations"))
    plain = unit and given.get("group", 1) == 1 and given.get("pads") == [1] * 4
    return plain and weights[node.input[1]].shape[2:] == (3, 3)


def _is_label_map(name: str, makers: dict[str, onnx.NodeProto]) -> bool:
    """True for a comparison with label numbers, pooled or reshaped at most: every value is 0 or 1."""
    while name in makers:
        node = makers[name]
        if node.op_type in ("Equal", "OneHot"):
            return True
        if node.op_type not in ("MaxPool", "Cast", "Transpose"):
            return False
        name = node.input[0]
    return False


def _replace(n: Nodes, chains: list[_Chain], weights: dict[str, np.ndarray]) -> None:
    """Nodes that compute the outputs of `chains`, all over the same maps [N, L, Y, X]."""
    labels = weights[chains[0].first.input[1]].shape[1]
    numbers, patches = _patches(n, chains[0].maps, labels)
    steps = []  # X, then Y: the rows of the last tables that make up a row of the next
    for axis in (2, 1):
        numbers, codes = _count(n, _joined(n, numbers, axis, _COUNTED))
        limit = n.constant(2**_COUNTED)
        steps.append([n.op("Mod", n.op("Div", codes, n.constant(2 ** (_COUNTED * k))), limit) for k in (2, 1, 0)])
    for chain in chains:
        # Kernels as [Y, X, in, out].
        first, second = (weights[node.input[1]].transpose(2, 3, 1, 0) for node in (chain.first, chain.second))
        hidden = n.constant(first.reshape(-1, first.shape[-1])), n.constant(weights[chain.first.input[2]])
        known = n.op("Relu", n.op("Gemm", patches, *hidden))
        # Row zero: outside the image the second convolution sees zeros.
        known = n.op("Pad", known, n.constant([1, 0, 0, 0]))
        across = [[n.op("MatMul", known, n.constant(second[y, x])) for x in range(3)] for y in range(3)]
        table = _sum_of_rows(n, [_sum_of_rows(n, tables, steps[0]) for tables in across], steps[1])
        table = n.op("Add", table, n.constant(weights[chain.second.input[2]]))
        for end in chain.ends:
            part = n.op("Slice", table, n.constant([end.start]), n.constant([end.stop]), n.constant([1]))
            if end.added is not None:
                part = n.op("Add", part, n.constant(end.added.reshape(-1)))
            n.op("Transpose", n.op("Gather", part, numbers, axis=0), perm=[0, 3, 1, 2])
            n.finish(end.name)


def _sum_of_rows(n: Nodes, tables: list[str], rows: list[str]) -> str:
    first, second, third = (n.op("Gather", table, row, axis=0) for table, row in zip(tables, rows, strict=True))
    return n.op("Add", n.op("Add", first, second), third)


def _patches(n: Nodes, maps: str, labels: int) -> tuple[str, str]:
    """Arrangements of labels around each voxel, numbered.

    Returns:
        Numbers int64 [N, Y, X] from 1, and the arrangements as one-hot maps float32 [U, 9 L], taps in the order of a
        kernel, labels last.
    """
    # One voxel: its labels as bits, which float32 holds exactly.
    powers = (2.0 ** np.arange(labels)).astype(np.float32)
    bits = n.op("Conv", maps, n.constant(powers.reshape(1, -1, 1, 1)))
    numbers, size = n.op("Cast", n.op("Squeeze", bits, n.constant([1])), to=onnx.TensorProto.INT64), labels
    steps: list[tuple[int, str | None]] = []
    for axis in (2, 1):
        known = None
        if 3 * size > _BITS:
            numbers, known = _count(n, numbers)
            size = _COUNTED
        steps.append((size, known))
        numbers, size = _joined(n, numbers, axis, size), 3 * size
    numbers, codes = _count(n, numbers)
    codes = n.op("Slice", codes, n.constant([1]), n.constant([_END]))
    last = n.constant(np.int32(-1))
    for size, known in reversed(steps):
        codes = n.op("ExpandDims", codes, last, domain=_OWN_DOMAIN)
        codes = n.op("Mod", n.op("Div", codes, n.constant([4**size, 2**size, 1])), n.constant(2**size))
        codes = n.op("Gather", known, codes, axis=0) if known else codes
    voxels = n.op("Cast", n.op("Reshape", codes, n.constant([-1, 9, 1])), to=onnx.TensorProto.FLOAT)
    # Bit k of a voxel's labels is the last digit of its code over 2^k.
    whole, half = (n.op("Floor", n.op("Mul", voxels, n.constant(scale / powers))) for scale in np.float32([1.0, 0.5]))
    bit = n.op("Sub", whole, n.op("Add", half, half))
    return numbers, n.op("Reshape", bit, n.constant([-1, 9 * labels]))


def _joined(n: Nodes, numbers: str, axis: int, bits: int) -> str:
    """Three neighbours along an axis of [N, Y, X] as one code; the first is the highest."""
    pads = [int(a == axis) for a in range(3)]
    padded = n.op("Pad", numbers, n.constant(pads * 2))
    before, here, after = (
        n.op("Slice", padded, n.constant([start]), n.constant([end]), n.constant([axis]))
        for start, end in ((0, -2), (1, -1), (2, _END))
    )
    high, middle = n.op("Mul", before, n.constant(4**bits)), n.op("Mul", here, n.constant(2**bits))
    return n.op("Add", n.op("Add", high, middle), after)


def _count(n: Nodes, codes: str) -> tuple[str, str]:
    """Number codes [N, Y, X] from 1; also the codes by number, [1 + U] with 0 for 0."""
    flat = n.op("Reshape", codes, n.constant([-1]))
    ordered, order = n.ops("TopK", 2, flat, n.op("Shape", flat), axis=0, largest=0)
    before = n.op("Concat", n.constant([-1]), n.op("Slice", ordered, n.constant([0]), n.constant([-1])), axis=0)
    new = n.op("Not", n.op("Equal", ordered, before))
    rank = n.op("CumSum", n.op("Cast", new, to=onnx.TensorProto.INT64), n.constant(0))
    numbers = n.op("Reshape", n.op("ScatterElements", flat, order, rank, axis=0), n.op("Shape", codes))
    return numbers, n.op("Pad", n.op("Compress", ordered, new, axis=0), n.constant([1, 0]))
