"""Open an exported ONNX file with the best engine of this machine, without torch.

There are two engines: onnxruntime with its providers, and OpenVINO's own package, which reads ONNX directly.
(OpenVINO's provider for onnxruntime comes in a build that would overwrite onnxruntime-gpu.)
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from strokereg.export.metadata import KEY, Bundle, parse_bundle
from strokereg.export.runtime.onnx_header import read_header
from strokereg.export.runtime.providers import load_libraries, provider_options, short_name, usable_providers
from strokereg.registry.errors import InputError, first_line
from strokereg.registry.specs import Role

BACKENDS = ("auto", "onnxruntime", "openvino")
_GPU = ("TensorRT", "CUDA")
# Domain of onnxruntime's own operators, which OpenVINO names in its error; see `export.write.label_tables`.
_OWN_OPERATORS = "com.microsoft"
# OpenVINO compiles a network for one to two seconds more than onnxruntime, and gains tenths of a second a scan.
_SEVERAL = 10


class Session(Protocol):
    """A graph that runs.

    Attributes:
        provider: what it runs on, for people: `CPU`, `CUDA`, `OpenVINO` …
        inputs: tensor name → shape, None for a free edge.
        outputs: names of the output tensors.
    """

    provider: str
    inputs: dict[str, tuple[int | None, ...]]
    outputs: list[str]

    def run(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        """The first output for inputs by name."""
        ...


class FunctionSession:
    """A function that runs a graph, as a session."""

    provider = ""

    def __init__(self, run: Callable[[dict[str, np.ndarray]], np.ndarray]) -> None:
        self.run = run
        self.inputs: dict[str, tuple[int | None, ...]] = {}
        self.outputs: list[str] = []


class OnnxRuntime:
    """A session of onnxruntime."""

    def __init__(self, path: Path, precision: str = "fp32", threads: int = 0, cpu: bool = False) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        names = usable_providers()[-1:] if cpu else usable_providers()
        load_libraries(names)
        wanted = [(name, provider_options(name, precision)) for name in names]
        self._session = onnxruntime.InferenceSession(os.fspath(path), options, providers=wanted)
        self.provider = short_name(self._session.get_providers()[0])
        self.inputs = {
            tensor.name: tuple(edge if isinstance(edge, int) else None for edge in tensor.shape)
            for tensor in self._session.get_inputs()
        }
        self.outputs = [tensor.name for tensor in self._session.get_outputs()]

    def run(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        if self.provider.startswith(_GPU):
            return self._run_bound(feeds)
        return self._session.run(self.outputs[:1], feeds)[0]

    def _run_bound(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        """Run with an IO binding: one copy to the device and one back, none between the operators.

        Not measured on a GPU; the same calls are tested on the CPU.
        """
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        device = "cuda" if self.provider.startswith(_GPU) else "cpu"
        binding.bind_output(self.outputs[0], device)
        self._session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]


class OpenVino:
    """A model compiled by OpenVINO for the CPU."""

    provider = "OpenVINO"

    def __init__(self, path: Path, precision: str = "fp32", threads: int = 0) -> None:
        import openvino

        # By default OpenVINO computes float32 models in bf16 if the processor supports it.
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        self._model = core.compile_model(core.read_model(os.fspath(path)), "CPU", settings)
        self._request = self._model.create_infer_request()
        self.inputs = {
            port.any_name: tuple(edge.get_length() if edge.is_static else None for edge in port.partial_shape)
            for port in self._model.inputs
        }
        self.outputs = [port.any_name for port in self._model.outputs]

    def run(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        # The request reuses its output memory in the next call.
        return self._request.infer(feeds)[0].copy()


def open_file(
    path: Path, backend: str = "auto", threads: int = 0, role: str | None = None, scans: int = 1
) -> tuple[Session, Bundle]:
    """Open an exported ONNX file of any role.

    Args:
        backend: "onnxruntime", "openvino", or "auto": the first of TensorRT, CUDA, OpenVINO and CPU that works here.
        threads: of one run on the CPU; 0 leaves it to the engine.
        role: refuse a file of another role.
        scans: number of scans; "auto" takes OpenVINO for several only, since it starts slowly.

    Raises:
        InputError: no such file, not ONNX, another role, an opset that the engine does not know, no strokereg
            metadata, a graph that does not fit the metadata, or a backend that is not installed.
    """
    header = read_header(path)
    bundle = parse_bundle(header.metadata.get(KEY), path)
    if role not in (None, bundle.role):
        raise InputError(f"{path}: holds a {bundle.role} ({bundle.architecture}); give an exported {role}")
    if role is not None and bundle.is_scan_graph:
        raise InputError(
            f"{path}: takes whole scans, for programs that work without strokereg; "
            "give the network alone, which 'strokereg export RUN --format onnx' writes"
        )
    engine = "onnxruntime" if bundle.is_scan_graph else choose_backend(backend, bundle.precision, scans)
    try:
        session = _start(engine, path, bundle.precision, threads)
    except Exception as error:  # neither engine's errors share a base but Exception
        if engine == "openvino" and backend == "auto":
            return open_file(path, "onnxruntime", threads, role)
        if _OWN_OPERATORS in str(error):
            raise InputError(
                f"{path}: holds operators that only onnxruntime has; leave --backend {backend} out, or give the "
                "file of a lower precision"
            ) from error
        if "opset" in str(error).lower():
            raise InputError(
                f"{path}: is of ONNX opset {header.opset}, which this {engine} does not know; "
                "update it, or export the run again"
            ) from error
        raise InputError(
            f"{path}: not a model that {engine} can open ({first_line(error)}); export the run again"
        ) from error
    check_graph(path, session, bundle)
    return session, bundle


def _start(engine: str, path: Path, precision: str, threads: int) -> Session:
    return (OpenVino if engine == "openvino" else OnnxRuntime)(path, precision, threads)


def choose_backend(backend: str, precision: str = "fp32", scans: int = 1) -> str:
    """`onnxruntime` or `openvino`.

    Raises:
        InputError: an unknown backend, or one that is not installed.
    """
    if backend not in BACKENDS:
        raise InputError(f"--backend {backend}: unknown; known are {', '.join(BACKENDS)}")
    installed = importlib.util.find_spec("openvino") is not None
    if backend == "openvino" and not installed:
        raise InputError("--backend openvino: not installed; install it with: pip install 'strokereg[openvino]'")
    if backend != "auto":
        return backend
    on_gpu = short_name(usable_providers()[0]).startswith(_GPU)
    worth = scans >= _SEVERAL or precision == "bf16"
    return "openvino" if installed and worth and not on_gpu else "onnxruntime"


def check_graph(path: Path, session: Session, bundle: Bundle) -> None:
    """Refuse a graph that does not fit its metadata.

    Raises:
        InputError: other tensors, dimensions or channels.
    """
    fits = set(session.inputs) == set(bundle.inputs) and session.outputs == list(bundle.output)
    if fits and bundle.is_scan_graph:
        shape = session.inputs["scan"]
        fits = len(shape) == 4 and shape[0] == len(bundle.channels)
    elif fits and bundle.role == Role.SEGMENTER:
        shape = session.inputs["image"]
        fits = len(shape) == 2 + bundle.dims and shape[1] == len(bundle.channels)
    elif fits and bundle.role == Role.TRANSLATOR:
        fits = len(session.inputs["labels"]) == 1 + bundle.dims
    if not fits:
        raise InputError(f"{path}: its graph does not fit its strokereg metadata; export the run again")
