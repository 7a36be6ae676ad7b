"""The web page of an exported segmenter, written from its file alone and served on this computer. No torch here."""

from __future__ import annotations

import functools
import http.server
import sys
import tempfile
from pathlib import Path

import onnx
from onnx import TensorProto, numpy_helper

from strokereg.export.formats import Format, Precision
from strokereg.export.metadata import KEY, parse_bundle
from strokereg.export.runtime.bundles import WITH_ADC, model_file
from strokereg.export.runtime.onnx_header import read_header
from strokereg.export.runtime.segmenter import Segmenter
from strokereg.export.runtime.session import ON_CPU, OnnxRuntime
from strokereg.export.scan import file
from strokereg.export.targets import check_place, put, web
from strokereg.export.verify.parity import require
from strokereg.registry.errors import InputError
from strokereg.registry.specs import Role

#: A page on a server that sends these may use several threads.
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
}


def write_page(out: Path | str, model: Path | str | None = None) -> Path:
    """Write the web page of an exported segmenter. Its graph is compared with the runtime first, as at an export.

    Args:
        out: folder of the page; an earlier page there is replaced.
        model: exported file (.onnx) or name of a bundle; by default the built-in one for DWI and ADC.

    Raises:
        InputError: no segmenter in ONNX, another folder in the way, or libraries that cannot be fetched.
        RunFailed: the graph differs from the runtime.
    """
    out, source = Path(out), model_file(model or WITH_ADC)
    refusal = InputError(f"{source}: the page is made from a segmenter's .onnx file; give one of --format onnx")
    if source.suffix != Format.ONNX.suffix:
        raise refusal
    bundle = parse_bundle(read_header(source).metadata.get(KEY), source)
    if bundle.role != Role.SEGMENTER or "scan" in bundle.inputs:
        raise refusal
    check_place(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".page-") as temporary:
            folder = Path(temporary)
            network, graph, page = folder / "network.onnx", folder / "scan.onnx", folder / "page"
            if bundle.precision != Precision.INT8:
                bundle = bundle.model_copy(update={"precision": Precision.FP32})
            network.write_bytes(in_float32(onnx.load(source)).SerializeToString())
            file.write(network, bundle, graph)
            segmenter = Segmenter(network, OnnxRuntime(network, settings=ON_CPU), bundle)
            parity = file.compare(graph, segmenter, [])
            require(parity, f"{source}: {file.UNLIKE}")
            described = onnx.load(graph)
            onnx.helper.set_model_props(described, {KEY: file.describe(bundle, parity, segmenter).to_json()})
            graph.write_bytes(described.SerializeToString())
            page.mkdir()
            web.write(graph, bundle, page)
            put(page, out, folder)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error}); choose another --out") from error
    return out


def in_float32(network: onnx.ModelProto) -> onnx.ModelProto:
    """The same weights computed in float32: browsers have no half precision on the CPU. The model is changed."""
    for weight in network.graph.initializer:
        if weight.data_type == TensorProto.FLOAT16:
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype("float32"), weight.name))
    for node in network.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    return network


class PageServer(http.server.ThreadingHTTPServer):
    """Serves a page to this computer alone; `serve_forever` runs it.

    Args:
        folder: of the page.
        port: 0 for any free one.

    Raises:
        InputError: the port is taken or not allowed.
    """

    daemon_threads = True
    # Windows would share a port that another program uses.
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, folder: Path, port: int) -> None:
        try:
            super().__init__(("127.0.0.1", port), functools.partial(_Handler, directory=str(folder)))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"--port {port}: cannot be used ({error}); choose another, or 0 for any free one"
            ) from error

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal keeps the address in sight."""
