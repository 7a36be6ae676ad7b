"""Convert a float32 ONNX file to a lower precision; inputs and outputs stay float32.

- fp16, for GPUs: convolutions and matrix products in half precision. Normalisation, statistics and activation of the
  output stay in float32, since raw intensities and sums over a scan do not fit into half precision. (The converter of
  onnxruntime 1.31 gives the same tensor several producers if it may convert these operators only, which is not valid
  ONNX.)
- bf16, for processors that have it: the same graph, computed in bf16 by OpenVINO; the metadata names the precision.
- int8: static quantisation in QDQ form, with ranges from training cases and weights by channel.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import tempfile
from pathlib import Path

import numpy as np

from strokereg.export.formats import Precision
from strokereg.export.inputs import Inputs, batches
from strokereg.registry.errors import InputError, RunFailed

_HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_CALIBRATION_BATCH = 8


def convert(full: Path, out: Path, precision: Precision, calibration: list[Inputs]) -> None:
    """Write the file `full` in another precision to `out`.

    Args:
        calibration: graph inputs of training cases; needed for int8 only.

    Raises:
        InputError: int8 without calibration cases.
        RunFailed: bf16 without OpenVINO, or on a processor that has none.
    """
    {Precision.FP16: _to_half, Precision.BF16: _to_bfloat, Precision.INT8: _to_int8}[precision](full, out, calibration)


def _to_half(full: Path, out: Path, calibration: list[Inputs]) -> None:
    """Cast the inputs of convolutions and matrix products to half precision, and their outputs back."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(full)
    graph = model.graph
    weights = {weight.name: weight for weight in graph.initializer}
    half: dict[str, str] = {}  # tensor → the same in half precision
    nodes: list[onnx.NodeProto] = []

    def halved(name: str) -> str:
        if name and name not in half:
            half[name] = f"{name}_half"
            if name in weights:
                array = numpy_helper.to_array(weights[name]).astype(np.float16)
                graph.initializer.append(numpy_helper.from_array(array, half[name]))
            else:
                nodes.append(helper.make_node("Cast", [name], [half[name]], f"{name}_to_half", to=TensorProto.FLOAT16))
        return half.get(name, name)

    for node in [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]:
        if node.op_type not in _HEAVY:
            nodes.append(node)
            continue
        inputs = [halved(name) for name in node.input]
        result = node.output[0]
        node.ClearField("input")
        node.input.extend(inputs)
        node.output[0] = f"{result}_in_half"
        back = helper.make_node("Cast", list(node.output), [result], f"{result}_to_float", to=TensorProto.FLOAT)
        nodes += [node, back]
    used = {name for node in nodes for name in node.input}
    kept = [weight for weight in graph.initializer if weight.name in used]
    kept = [onnx.TensorProto.FromString(weight.SerializeToString()) for weight in kept]
    for field, entries in (("node", nodes), ("initializer", kept)):
        graph.ClearField(field)
        getattr(graph, field).extend(entries)
    graph.ClearField("value_info")
    out.write_bytes(model.SerializeToString())


def _to_bfloat(full: Path, out: Path, calibration: list[Inputs]) -> None:
    if importlib.util.find_spec("openvino") is None:
        raise RunFailed("bf16 needs OpenVINO, which computes in it; pip install 'strokereg[openvino]'")
    import openvino

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise RunFailed("this processor has no bf16, so its loss cannot be measured here; leave bf16 out")
    shutil.copyfile(full, out)


def _to_int8(full: Path, out: Path, calibration: list[Inputs]) -> None:
    from onnxruntime import quantization

    if not calibration:
        raise InputError("--precision int8: needs training cases to find its ranges on; give a cohort with --data DIR")
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it gives advice on the root logger
    try:
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            prepared = Path(folder) / "prepared.onnx"
            quantization.quant_pre_process(full, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                out,
                _Reader(calibration),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(_HEAVY),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=quantization.CalibrationMethod.MinMax,
            )
    finally:
        logging.root.setLevel(level)


class _Reader:
    """Calibration inputs, a few items at a time, in the form that onnxruntime asks for."""

    def __init__(self, calibration: list[Inputs]) -> None:
        self._parts = iter([part for inputs in calibration for part in batches(inputs, _CALIBRATION_BATCH)])

    def get_next(self) -> Inputs | None:
        return next(self._parts, None)
