"""A model repository for NVIDIA's Triton inference server: `<model>/config.pbtxt` and `<model>/1/model.onnx`.

Orientation, resampling and windows are up to the client. It finds the metadata in the configuration that the server
returns.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx

from strokereg.export.metadata import KEY, Bundle
from strokereg.registry.specs import Role

_TYPES = {onnx.TensorProto.FLOAT: "TYPE_FP32", onnx.TensorProto.INT64: "TYPE_INT64"}
LABELS = "labels.txt"
#: Largest batch of the server, by dimensions: slices in 2D, volumes in 3D. Clients split larger requests.
BATCH = {2: 64, 3: 4}
_WAIT_US = 500  # for further requests to join a batch; the network itself takes milliseconds


def write(model: Path, bundle: Bundle, folder: Path) -> None:
    """Fill a folder with the repository of one model, named like the exported file."""
    place = folder / model.stem
    (place / "1").mkdir(parents=True)
    shutil.copyfile(model, place / "1" / "model.onnx")
    graph = onnx.load(model).graph
    (place / LABELS).write_text("\n".join(_labels(bundle)) + "\n", encoding="utf-8")
    (place / "config.pbtxt").write_text(_config(model.stem, graph, bundle), encoding="utf-8")


def _labels(bundle: Bundle) -> tuple[str, ...]:
    """Names along the output's channel axis."""
    return bundle.channels if bundle.role == Role.TRANSLATOR else ("lesion",)


def _config(name: str, graph: onnx.GraphProto, bundle: Bundle) -> str:
    """The text of `config.pbtxt`; field names are those of Triton's `model_config.proto`."""
    what = f"{bundle.architecture}, {bundle.role}, {bundle.dims}D. {bundle.intended_use}"
    parts = [
        f"# {what}",
        f"name: {_quoted(name)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {BATCH[bundle.dims]}",
        *(_tensor("input", entry) for entry in graph.input),
        *(_tensor("output", entry, f"  label_filename: {_quoted(LABELS)}\n") for entry in graph.output),
        f"dynamic_batching {{ max_queue_delay_microseconds: {_WAIT_US} }}",
        f"parameters {{\n  key: {_quoted(KEY)}\n  value {{ string_value: {_quoted(bundle.to_json())} }}\n}}",
    ]
    return "\n".join(parts) + "\n"


def _tensor(kind: str, entry: onnx.ValueInfoProto, more: str = "") -> str:
    tensor = entry.type.tensor_type
    # Triton's configuration leaves out the first axis, the batch; free edges are -1.
    edges = [edge.dim_value or -1 for edge in tensor.shape.dim][1:]
    return (
        f"{kind} {{\n  name: {_quoted(entry.name)}\n  data_type: {_TYPES[tensor.elem_type]}\n"
        f"  dims: [{', '.join(map(str, edges))}]\n{more}}}"
    )


def _quoted(text: str) -> str:
    """A string in protobuf's text form, which knows JSON's escapes except \\u."""
    plain = text.encode("utf-8").decode("latin-1")  # protobuf strings are UTF-8, written byte by byte
    return "".join(f"\\{ord(c):03o}" if ord(c) > 126 else c for c in json.dumps(plain, ensure_ascii=False))
