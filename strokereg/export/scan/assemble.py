"""Assemble the whole-scan graph around an exported network: raw voxels and affine in, probability and mask out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, inliner, numpy_helper
from onnxscript import OnnxFunction

from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.scan.scaling import SPREAD
from strokereg.core.scan.window import SLICES
from strokereg.export.metadata import Bundle
from strokereg.export.scan import brain, domain, frame, lesions, resample, windows
from strokereg.export.write.onnx_nodes import Nodes

_PARTS = (domain, brain, frame, resample, windows, lesions)


def assemble(network: onnx.ModelProto, bundle: Bundle) -> onnx.ModelProto:
    """Join the functions of this room around a network.

    Args:
        network: an exported segmenter in float32.
        bundle: its metadata.
    """
    graph = onnx.GraphProto(name="scan")
    shape = ["I", "J", "K"]
    graph.input.append(helper.make_tensor_value_info("scan", TensorProto.FLOAT, [len(bundle.channels), *shape]))
    graph.input.append(helper.make_tensor_value_info("affine", TensorProto.DOUBLE, [4, 4]))
    graph.output.append(helper.make_tensor_value_info("probability", TensorProto.FLOAT, shape))
    graph.output.append(helper.make_tensor_value_info("mask", TensorProto.UINT8, shape))
    calls = _Calls(graph, bundle)
    calls.write()
    graph.node.extend(calls.made)
    opsets = [helper.make_opsetid("", _opset(network)), helper.make_opsetid(domain.DOMAIN, 1)]
    parts = [*functions(bundle), *network.functions, _function(network)]
    model = helper.make_model(graph, functions=parts, opset_imports=opsets, ir_version=network.ir_version)
    model.producer_name = "strokereg"
    model = inliner.inline_local_functions(model)
    settle(model)
    kept = [entry for entry in opsets if entry.domain != domain.DOMAIN]  # no function of ours is left to call
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.checker.check_model(model)
    return model


class _Calls(Nodes):
    """The calls of the functions, from the inputs to the outputs."""

    def __init__(self, graph: onnx.GraphProto, bundle: Bundle) -> None:
        super().__init__(graph, "step")
        self.bundle = bundle

    def call(self, function: OnnxFunction, *inputs: str, outputs: int = 1) -> list[str]:
        return self.ops(function.name, outputs, *inputs, domain=domain.DOMAIN)

    def parameter(self, name: str, value: object, kind: type = np.float64) -> str:
        """A constant with a name, so that a viewer of the file shows the threshold."""
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=kind), name))
        return name

    def refuse(self, fault: str, value: str, sentence: str) -> str:
        """Pass on `value`, a number, or fail in a node that is called `sentence`.

        ONNX has no custom errors, but engines report the name of a failed node. The node looks up the second place of
        a vector of one.
        """
        (one,) = self.call(domain.listed, value)
        index = self.op("Cast", fault, to=TensorProto.INT64)
        self.op("Gather", one, index)
        self.made[-1].output[0] = sentence
        return sentence

    def write(self) -> None:
        """From the inputs to the outputs."""
        axes, signs, spacing, voxel_ml = self._place()
        levels, measured = self._intensities()
        preparation = self.bundle.preparation
        grid = (
            self.parameter("spacing", preparation.spacing),
            self.parameter("least", preparation.size),
            self.parameter("multiple", preparation.multiple),
        )
        brain_mask = self.op("Greater", self._channel(0), levels[0])
        slope, start, size = self.call(frame.frame, brain_mask, axes, signs, spacing, *grid, outputs=3)
        count = self.op("Shape", "scan", start=1)
        there = _Axes(slope, start, count, size)
        _, zyx = self.ops("TopK", 2, axes, self.constant([3]))  # canonical axes Z, Y, X by the scan's numbers
        image = self.call(resample.reordered, self._image(there), zyx)[0]
        found = self.op("Unsqueeze", self._blended(image, measured), self.constant([0]))
        found = self.call(resample.reordered, found, self.op("Sub", self.constant(2), axes))[0]
        inverse = self.op("Reciprocal", slope)
        back = _Axes(inverse, self.op("Mul", self.op("Neg", start), inverse), size, count)
        self._decide(self._resampled(found, self._matrices(resample.linear, back)), voxel_ml)

    def _place(self) -> tuple[str, str, str, str]:
        """Axes, signs and spacing of the scan, and the volume of a voxel in ml."""
        matrix = self.op("Slice", "affine", self.constant([0, 0]), self.constant([3, 3]))
        volume = self.op("Abs", self.call(frame.determinant, matrix)[0])
        fault = self.op("Not", self.op("Greater", volume, self.constant(np.float64(1e-9))))
        sure = self.refuse(fault, self.constant(np.float64(1.0)), "the_affine_cannot_be_inverted")
        matrix = self.op("Mul", matrix, sure)
        squares = self.op("ReduceSum", self.op("Mul", matrix, matrix), self.constant([0]), keepdims=0)
        spacing = self.op("Sqrt", squares)
        axes, signs = self.call(frame.orientation, matrix, spacing, outputs=2)
        return axes, signs, spacing, self.op("Div", volume, self.constant(np.float64(1000.0)))

    def _channel(self, number: int) -> str:
        return self.op("Gather", "scan", self.constant(number), axis=0)

    def _intensities(self) -> tuple[list[str], str]:
        """The intensity above which a voxel is brain, for each channel; and the scale, [1, C] or [1, C, 2]."""
        share = self.parameter("foreground_quantile", 0.99)
        level = self.parameter("foreground_share", 0.05, np.float32)
        # Everything finite times zero is zero.
        sum_of_zeros = self.op("ReduceSum", self.op("Mul", "scan", self.constant(np.float32(0.0))), keepdims=0)
        fault = self.op("Not", self.op("Equal", sum_of_zeros, self.constant(np.float32(0.0))))
        share = self.refuse(fault, share, "the_scan_holds_NaN_or_infinite_voxels")
        levels, measured = [], []
        for number, name in enumerate(self.bundle.channels):
            image = self._channel(number)
            (values,) = self.call(brain.above, image, self.constant(np.float32(0.0)))
            fault = self.op("Equal", self.op("Size", values), self.constant(0))
            sure = self.refuse(fault, share, f"{name}_holds_no_positive_voxels")
            levels.append(self.op("Mul", self.call(brain.quantile, values, sure)[0], level))
            (values,) = self.call(brain.above, image, levels[-1])
            measured.append(self._measured(values, name))
        return levels, self.op("Unsqueeze", self.op("Concat", *measured, axis=0), self.constant([0]))

    def _measured(self, values: str, name: str) -> str:
        how = self.bundle.preparation
        if how.scaling == "median":
            return self.call(domain.listed, self.call(brain.median, values)[0])[0]
        if how.scaling == "zscore":
            rule = (self.constant(np.array(how.deviations)), self.constant(np.float64(SPREAD)))
            (limits,) = self.call(brain.zscore_limits, values, *rule)
        else:
            rule = tuple(self.constant(np.float64(share / 100.0)) for share in how.percentiles)
            (limits,) = self.call(brain.percentile_limits, values, *rule)
        low, high = (self.op("Gather", limits, self.constant(end)) for end in (0, 1))
        high = self.refuse(
            self.op("Not", self.op("Greater", high, low)), high, f"{name}_has_one_intensity_almost_everywhere"
        )
        both = [self.call(domain.listed, end)[0] for end in (low, high)]
        return self.op("Unsqueeze", self.op("Concat", *both, axis=0), self.constant([0]))

    def _image(self, there: _Axes) -> str:
        """The scan on its network grid, float [C, I', J', K'], in its own order of axes."""
        smooth = [self.call(resample.smoothing, old, slope)[0] for slope, _, old, _ in self._each(there)]
        rough = self._matrices(resample.linear, there)
        if self.bundle.preparation.interpolation == "linear":
            pairs = zip(rough, smooth, strict=True)
            return self._resampled("scan", [self.op("MatMul", take, before) for take, before in pairs])
        source = self._resampled("scan", smooth)
        fine = self._resampled(source, self._matrices(resample.cubic, there))
        return self.call(resample.within, fine, source, self._resampled(source, rough))[0]

    def _each(self, grids: _Axes) -> Iterator[tuple[str, str, str, str]]:
        for axis in range(3):
            yield tuple(self.op("Gather", vector, self.constant(axis)) for vector in grids)  # type: ignore[misc]

    def _matrices(self, kind: OnnxFunction, grids: _Axes) -> list[str]:
        return [self.call(kind, old, new, slope, start)[0] for slope, start, old, new in self._each(grids)]

    def _resampled(self, image: str, matrices: list[str]) -> str:
        return self.op("Cast", self.call(resample.along_axes, image, *matrices)[0], to=TensorProto.FLOAT)

    def _blended(self, image: str, measured: str) -> str:
        size = self.op("Shape", image, start=1)
        edges = [self.op("Gather", size, self.constant(axis)) for axis in range(3)]
        most = (SLICES, *self.bundle.size)[-3:]
        shares = (self.parameter("overlap", self.bundle.overlap), self.parameter("sigma", self.bundle.sigma))
        along = []
        for axis, edge in enumerate(edges):
            width = self.constant(most[axis])
            if axis == 0 and self.bundle.dims == 2:
                along += self.call(windows.parts, edge, width, outputs=2)
            else:
                along += self.call(windows.overlapping, edge, width, *shares, outputs=2)
        return self.call(windows.blended, image, measured, *along, self.constant(most))[0]

    def _decide(self, probability: str, voxel_ml: str) -> None:
        rule = self.bundle.postprocessing or Postprocessing()
        self.op("Squeeze", probability, self.constant([0]))
        self.finish("probability")
        mask = self.op("GreaterOrEqual", "probability", self.parameter("threshold", rule.threshold, np.float32))
        if rule.smallest_ml > 0.0:
            # The same small allowance as in `core.scan.postprocess`.
            smallest = self.parameter("smallest_ml", rule.smallest_ml * (1.0 - 1e-6))
            (mask,) = self.call(lesions.large, mask, voxel_ml, smallest)
        self.op("Cast", mask, to=TensorProto.UINT8)
        self.finish("mask")


class _Axes(NamedTuple):
    """From one grid to another, by the scan's axes: slope and start of new places on the old axes, and edges."""

    slope: str
    start: str
    old: str
    new: str


def functions(bundle: Bundle | None) -> Iterator[onnx.FunctionProto]:
    """All functions; without a bundle those that depend on the model are left out."""
    found = {value.name: value for part in _PARTS for value in vars(part).values() if isinstance(value, OnnxFunction)}
    yield from (function.to_function_proto() for name, function in found.items() if name not in _VARIANTS)
    if bundle is None:
        return
    shown = windows.at_slices if bundle.dims == 2 else windows.at_volume
    flips = bundle.postprocessing is not None and bundle.postprocessing.flips
    yield _named(shown, windows.LOOK if flips else windows.SHOW)
    if flips:
        yield _named(windows.from_both_sides, windows.SHOW)


_VARIANTS = ("at_slices", "at_volume", "from_both_sides")


def _named(function: OnnxFunction, name: str) -> onnx.FunctionProto:
    proto = function.to_function_proto()
    proto.name = name
    return proto


def _function(network: onnx.ModelProto) -> onnx.FunctionProto:
    """A network as a function, its weights as constants inside.

    Functions declare no shapes, but engines need the number of axes to plan some operators, such as resizing. So each
    input goes through a reshape to its own shape (0 keeps an edge).
    """
    graph = network.graph
    nodes = [helper.make_node("Constant", [], [entry.name], value=entry) for entry in graph.initializer]
    for entry in graph.input:
        shape = np.array([edge.dim_value for edge in entry.type.tensor_type.shape.dim])
        constant = numpy_helper.from_array(shape)
        nodes.append(helper.make_node("Constant", [], [f"{entry.name}_shape"], value=constant))
        nodes.append(helper.make_node("Reshape", [f"given_{entry.name}", f"{entry.name}_shape"], [entry.name]))
    inputs, outputs = [f"given_{entry.name}" for entry in graph.input], [entry.name for entry in graph.output]
    nodes += graph.node
    return helper.make_function(domain.DOMAIN, windows.NETWORK, inputs, outputs, nodes, network.opset_import)


def settle(model: onnx.ModelProto) -> None:
    """Replace each `CastLike` by a `Cast`, and name nodes after their first output.

    The functions take values of any type, but engines fold constants through `Cast` only, and warn of `CastLike`.
    """
    types: dict[str, int] = {}
    for graph in graphs(onnx.shape_inference.infer_shapes(model).graph):
        for entry in (*graph.value_info, *graph.input, *graph.output):
            types[entry.name] = entry.type.tensor_type.elem_type
        types |= {entry.name: entry.data_type for entry in graph.initializer}
    for graph in graphs(model.graph):
        for node in graph.node:
            if node.op_type == "CastLike":
                node.op_type = "Cast"
                node.attribute.append(helper.make_attribute("to", types[node.input.pop()]))
            node.name = node.output[0]


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all graphs in its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs(attribute.g)


def _opset(network: onnx.ModelProto) -> int:
    return next(entry.version for entry in network.opset_import if not entry.domain)
