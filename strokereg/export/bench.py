"""Time a run or an exported file with every engine of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from strokereg.export.files import open_on_cpu, read_bundle
from strokereg.export.formats import Format, Precision, format_of, holds_network
from strokereg.export.inputs import Inputs, RunGraph
from strokereg.export.runtime.session import EngineSettings, open_file
from strokereg.export.verify.timing import BenchSettings, Timings, time_ways
from strokereg.registry.errors import InputError, StrokeregError
from strokereg.registry.specs import Role

Ways = dict[str, Callable[[], RunGraph]]  # engine and precision → opens it


def bench(target: Path | str, settings: BenchSettings | None = None) -> Timings:
    """Time a network with every engine, in interleaved rounds.

    Args:
        target: a run folder: the others are compared with eager PyTorch on the best device, and its `export` folder
            holds the files (missing ONNX and TorchScript files are exported for the measurement only). Or an exported
            file: it is timed with its siblings in the same folder, which are compared with it.

    Raises:
        InputError: no run folder and no exported file, or a size of the wrong number of edges.
    """
    settings, target = settings or BenchSettings(), Path(target)
    ways: Ways = {}
    with tempfile.TemporaryDirectory() as folder:
        files = _of_run(target, Path(folder), ways, settings) if target.is_dir() else _siblings(target)
        bundle = read_bundle(files[0])
        size = settings.size or (bundle.size if bundle.role != Role.GENERATOR else ())
        if size and len(size) != bundle.dims:
            raise InputError(f"--size {','.join(map(str, size))}: {bundle.architecture} needs {bundle.dims} edges")
        batch = settings.batch or (16 if bundle.dims == 2 else 1)
        for file in files:
            _add(file, ways, settings.threads, (batch, *size))
        opened: dict[str, RunGraph] = {}
        absent: dict[str, str] = {}
        for name, open_way in ways.items():
            try:
                opened[name] = open_way()
            except (StrokeregError, ImportError) as error:
                absent[name] = str(error)
        return time_ways(opened, bundle, size, batch, settings).model_copy(update={"absent": absent})


def _siblings(file: Path) -> list[Path]:
    """A file and those beside it of the same network: `unet.onnx`, `unet.int8.onnx`, `unet.pt` …

    Raises:
        InputError: the file takes whole scans, not what a network takes.
    """
    if read_bundle(file).is_scan_graph:
        raise InputError(f"{file}: takes whole scans, and only networks are timed; give the network's own file")
    base = file.name.split(".")[0]
    beside = sorted(path for path in file.parent.glob(f"{base}.*") if holds_network(path))
    return [file, *(path for path in beside if path != file)]


def _of_run(folder: Path, spare: Path, ways: Ways, settings: BenchSettings) -> list[Path]:
    """Add the ways of torch itself, and find or make the run's files."""
    import torch

    from strokereg.core.train.device import choose_device
    from strokereg.export.exporter import ExportSettings, export_model
    from strokereg.export.graph import graph_of, run
    from strokereg.export.run import TrainedRun

    trained, device = TrainedRun.read(folder), choose_device()
    graph = graph_of(trained.model, trained.record).to(device)
    where = "" if device.type == "cpu" else f" on {device.type}"
    if settings.threads:
        torch.set_num_threads(settings.threads)
    ways[f"PyTorch, eager{where}"] = lambda: lambda inputs: run(graph, inputs)

    def compiled() -> RunGraph:
        fast = torch.compile(graph)

        def call(inputs: Inputs):
            with torch.no_grad():
                return fast(*(torch.from_numpy(inputs[name]).to(device) for name in graph.inputs)).cpu().numpy()

        return call

    if settings.compiled:
        ways[f"PyTorch, compiled{where}"] = compiled
    made = [path for path in sorted((folder / "export").glob("*")) if holds_network(path)]
    wanted = (Format.ONNX, Format.TORCHSCRIPT)
    missing = tuple(kind for kind in wanted if not any(path.suffix == kind.suffix for path in made))
    if not missing:
        return made
    # Parity on edge sizes only: these files are thrown away again.
    return [*made, *export_model(trained.model, trained.record, spare, ExportSettings(missing))]


def _add(file: Path, ways: Ways, threads: int, largest: tuple[int, ...]) -> None:
    """Add the ways of one exported file, for inputs [N, (Z,) Y, X] of at most this shape."""
    kind = format_of(file)
    if kind == Format.ONNX:
        precision = read_bundle(file).precision
        for backend, name in (("onnxruntime", "onnxruntime"), ("openvino", "OpenVINO")):
            if precision == Precision.BF16 and backend == "onnxruntime":
                continue  # it computes such a file in fp32
            engine = EngineSettings(backend, threads=threads, largest=largest)
            ways[f"{name}, {precision}"] = lambda engine=engine: open_file(file, engine)[0].run  # type: ignore[misc]
        return

    def opened() -> RunGraph:
        import torch

        if threads:
            torch.set_num_threads(threads)
        return open_on_cpu(file)

    ways["TorchScript" if kind == Format.TORCHSCRIPT else "torch.export"] = opened
