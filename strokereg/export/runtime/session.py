"""Open an exported ONNX file with the best engine of this machine, without torch.

There are two engines: onnxruntime with its providers, and OpenVINO's own package, which reads ONNX directly.
(OpenVINO's provider for onnxruntime comes in a build that would overwrite onnxruntime-gpu.)
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from strokereg.export.metadata import KEY, Bundle, parse_bundle
from strokereg.export.runtime.devices import Device
from strokereg.export.runtime.external_data import check_external_data
from strokereg.export.runtime.onnx_header import Header, read_header
from strokereg.export.runtime.providers import (
    GPU,
    import_onnxruntime,
    load_libraries,
    provider_options,
    short_name,
    usable_providers,
)
from strokereg.export.runtime.window_shapes import window_shapes
from strokereg.registry.errors import InputError, first_line
from strokereg.registry.specs import Role

log = logging.getLogger(__name__)

BACKENDS = ("auto", "onnxruntime", "openvino")
# Domain of onnxruntime's own operators, which OpenVINO names in its error; see `export.write.label_tables`.
_OWN_OPERATORS = "com.microsoft"
# OpenVINO compiles a network for one to two seconds more than onnxruntime, and gains tenths of a second a scan.
_SEVERAL = 10


@dataclass(frozen=True)
class EngineSettings:
    """Which engine runs a file, and where.

    Attributes:
        backend: "onnxruntime", "openvino", or "auto": the first of TensorRT, CUDA, OpenVINO and CPU that works here.
        device: "cpu", "cuda", "cuda:N", or "auto": a GPU where there is one.
        threads: of one run on the CPU; 0 leaves it to the engine.
        scans: number of scans; "auto" takes OpenVINO for several only, since it starts slowly.
        largest: batch and size [N, (Z,) Y, X] of the inputs where they are larger than those of a scan.
    """

    backend: str = "auto"
    device: str = "auto"
    threads: int = 0
    scans: int = 1
    largest: tuple[int, ...] = ()


ON_CPU = EngineSettings(device="cpu")


class Session(Protocol):
    """A graph that runs.

    Attributes:
        provider: what it runs on, for people: `CPU`, `CUDA:0`, `OpenVINO` …
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
    """A session of onnxruntime.

    Args:
        bundle: the file's metadata, by which TensorRT knows the shapes of inputs; not needed on the CPU.
    """

    def __init__(
        self,
        path: Path,
        precision: str = "fp32",
        settings: EngineSettings | None = None,
        bundle: Bundle | None = None,
    ) -> None:
        onnxruntime = import_onnxruntime()
        settings = settings or EngineSettings()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = settings.threads
        names, device = usable_providers(settings.device, precision), Device.parse(settings.device)
        shapes = window_shapes(bundle, settings.largest) if bundle else {}
        load_libraries(names)
        wanted = [(name, provider_options(name, precision, device.index, shapes)) for name in names]
        self._session = onnxruntime.InferenceSession(os.fspath(path), options, providers=wanted)
        self._index = device.index
        self.provider = self._chosen(names, device)
        self.inputs = {
            tensor.name: tuple(edge if isinstance(edge, int) else None for edge in tensor.shape)
            for tensor in self._session.get_inputs()
        }
        self.outputs = [tensor.name for tensor in self._session.get_outputs()]

    def _chosen(self, names: list[str], device: Device) -> str:
        """Name of the provider. onnxruntime goes on with the next one where it cannot start the first.

        Raises:
            InputError: no GPU runs the file, but one was asked for.
        """
        first = short_name(self._session.get_providers()[0])
        if first.startswith(GPU):
            return f"{first}:{device.index}"
        if short_name(names[0]).startswith(GPU):
            fault = "onnxruntime cannot start CUDA, whose libraries are missing or of another version"
            fix = "install 'onnxruntime-gpu[cuda,cudnn]'"
            if device.kind == "cuda":
                raise InputError(f"--device {device}: {fault}; {fix}, or give --device cpu")
            log.warning("%s, so the CPU is used; %s", fault, fix)
        return first

    def run(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        if self.provider.startswith(GPU):
            return self._run_bound(feeds)
        return self._session.run(self.outputs[:1], feeds)[0]

    def _run_bound(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        """Run with an IO binding: one copy to the device and one back, none between the operators.

        Not measured on a GPU; the same calls are tested on the CPU.
        """
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        device = ("cuda", self._index) if self.provider.startswith(GPU) else ("cpu", 0)
        binding.bind_output(self.outputs[0], *device)
        self._session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]


class OpenVino:
    """A model compiled by OpenVINO for the CPU."""

    provider = "OpenVINO"

    def __init__(self, path: Path, precision: str = "fp32", settings: EngineSettings | None = None) -> None:
        import openvino

        threads = settings.threads if settings else 0

        # By default OpenVINO computes float32 models in bf16 if the processor supports it.
        config: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        }
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        self._model = core.compile_model(core.read_model(os.fspath(path)), "CPU", config)
        self._request = self._model.create_infer_request()
        self.inputs = {
            port.any_name: tuple(edge.get_length() if edge.is_static else None for edge in port.partial_shape)
            for port in self._model.inputs
        }
        self.outputs = [port.any_name for port in self._model.outputs]

    def run(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        # The request reuses its output memory in the next call.
        return self._request.infer(feeds)[0].copy()


def open_file(path: Path, settings: EngineSettings | None = None, role: str | None = None) -> tuple[Session, Bundle]:
    """Open an exported ONNX file of any role.

    Args:
        settings: engine and device; by default the best of this machine.
        role: refuse a file of another role.

    Raises:
        InputError: no such file, not ONNX, another role, a version that the engine does not know, no strokereg
            metadata, a graph that does not fit the metadata, or a backend or device that is not there.
    """
    settings = settings or EngineSettings()
    Device.parse(settings.device)
    header = read_header(path)
    bundle = parse_bundle(header.metadata.get(KEY), path)
    if role not in (None, bundle.role):
        raise InputError(f"{path}: holds a {bundle.role} ({bundle.architecture}); give an exported {role}")
    if role is not None and bundle.is_scan_graph:
        raise InputError(
            f"{path}: takes whole scans, for programs that work without strokereg; "
            "give the network alone, which 'strokereg export RUN --format onnx' writes"
        )
    check_external_data(path)
    engine = "onnxruntime" if bundle.is_scan_graph else choose_backend(settings, bundle.precision)
    try:
        session = _start(engine, path, bundle, settings)
    except InputError:
        raise
    except Exception as error:  # neither engine's errors share a base but Exception
        if engine == "openvino" and settings.backend == "auto":
            return open_file(path, replace(settings, backend="onnxruntime"), role)
        if _OWN_OPERATORS in str(error):
            raise InputError(
                f"{path}: holds operators that only onnxruntime has; leave --backend {settings.backend} out, or give "
                "the file of a lower precision"
            ) from error
        if newer := _newer(str(error), header, engine):
            raise InputError(f"{path}: {newer}") from error
        raise InputError(
            f"{path}: not a model that {engine} can open ({first_line(error)}); export the run again"
        ) from error
    check_graph(path, session, bundle)
    return session, bundle


def _newer(text: str, header: Header, engine: str) -> str:
    """What a file needs that is too new for an engine, from the engine's error; empty if that is not the fault."""
    name = f"{engine} {importlib.metadata.version(_package(engine))}"
    fix = f"update {engine}, or export the run again"
    if most := re.search(r"max supported IR version: (\d+)", text):
        return f"is of ONNX IR version {header.ir}, and {name} reads up to {most[1]}; {fix}"
    if "opset" in text.lower():
        most = re.search(r"is till opset (\d+)", text)
        known = f"knows up to {most[1]}" if most else "does not know it"
        return f"is of ONNX opset {header.opset}, and {name} {known}; {fix}"
    return ""


def _package(engine: str) -> str:
    """Distribution that provides an engine."""
    return importlib.metadata.packages_distributions().get(engine, [engine])[0]


def _start(engine: str, path: Path, bundle: Bundle, settings: EngineSettings) -> Session:
    if engine == "openvino":
        return OpenVino(path, bundle.precision, settings)
    return OnnxRuntime(path, bundle.precision, settings, bundle)


def choose_backend(settings: EngineSettings, precision: str = "fp32") -> str:
    """`onnxruntime` or `openvino`.

    Raises:
        InputError: an unknown backend, one that is not installed, or a device that is not there.
    """
    backend = settings.backend
    if backend not in BACKENDS:
        raise InputError(f"--backend {backend}: unknown; known are {', '.join(BACKENDS)}")
    installed = importlib.util.find_spec("openvino") is not None
    if backend == "openvino" and not installed:
        raise InputError("--backend openvino: not installed; install it with: pip install 'strokereg[openvino]'")
    if backend == "openvino" and Device.parse(settings.device).kind == "cuda":
        raise InputError(f"--backend openvino: runs on the CPU; leave it out, or leave --device {settings.device} out")
    if backend != "auto":
        return backend
    on_gpu = short_name(usable_providers(settings.device, precision)[0]).startswith(GPU)
    worth = settings.scans >= _SEVERAL or precision == "bf16"
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
