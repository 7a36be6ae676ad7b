"""A run or an exported file → how fast it is by every way that this machine has."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from strokereg.registry.errors import InputError, StrokeregError

if TYPE_CHECKING:
    import numpy as np

    from strokereg.export.bench import Run, Timings


def bench(
    target: Path | str,
    rounds: int = 20,
    batch: int | None = None,
    size: tuple[int, ...] | None = None,
    threads: int = 0,
    compiled: bool = False,
) -> Timings:
    """Time a network by every way, in one interleaved run.

    Args:
        target: a run folder: eager PyTorch is what the others are compared with, and its `export` folder holds the
            files (ONNX and TorchScript are exported for the measurement where they are missing). Or an exported
            file: it is timed with its siblings in the same folder, itself the first.
        rounds: calls of each way.
        batch: items of a batch; by default 16, and in 3D, where an item is a volume, one.
        size: of an item, [Z,] Y, X; by default the size trained on.
        threads: of a run on the CPU; 0 leaves it to each engine.
        compiled: time `torch.compile` too, which takes a minute to warm up.

    Raises:
        InputError: no run folder and no exported file, or a size of the wrong number of edges.
    """
    target = Path(target)
    ways: dict[str, Callable[[], Run]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if target.is_dir():
            files = _of_run(target, Path(folder), ways, threads, compiled)
        else:
            from strokereg.export.bench import siblings

            files = siblings(target)
        return _time(files, ways, rounds, batch, size, threads)


def _of_run(run: Path, spare: Path, ways: dict[str, Callable[[], Run]], threads: int, compiled: bool) -> list[Path]:
    """Add the ways of torch itself, and find or make the run's files."""
    import torch

    from strokereg.export.bundle import export_model
    from strokereg.export.deploy import trained
    from strokereg.export.formats import SUFFIXES, holds_network
    from strokereg.export.graph import graph_of
    from strokereg.export.graph import run as run_graph

    record, model, licence = trained(run)
    graph = graph_of(model, record)
    if threads:
        torch.set_num_threads(threads)
    ways["PyTorch, eager"] = lambda: lambda inputs: run_graph(graph, inputs)
    if compiled:

        def compile_graph() -> Run:
            fast = torch.compile(graph)

            def call(inputs: dict[str, np.ndarray]) -> np.ndarray:
                with torch.no_grad():
                    return fast(*(torch.from_numpy(inputs[name]) for name in graph.inputs)).numpy()

            return call

        ways["PyTorch, compiled"] = compile_graph
    made = [path for path in sorted((run / "export").glob("*")) if holds_network(path)]
    missing = [name for name in ("onnx", "torchscript") if not any(path.suffix == SUFFIXES[name] for path in made)]
    # Parity on edge sizes only: these files are thrown away again.
    return [*made, *(export_model(model, record, [], spare, missing, licence) if missing else [])]


def _time(
    files: list[Path],
    ways: dict[str, Callable[[], Run]],
    rounds: int,
    batch: int | None,
    size: tuple[int, ...] | None,
    threads: int,
) -> Timings:
    from strokereg.export.bench import time_ways
    from strokereg.export.deploy import read_bundle

    bundle = read_bundle(files[0])
    size = size or (bundle.size if bundle.role != "generator" else ())
    if size and len(size) != bundle.dims:
        raise InputError(f"--size {','.join(map(str, size))}: {bundle.architecture} needs {bundle.dims} edges")
    batch = batch or (16 if bundle.dims == 2 else 1)
    for file in files:
        _add(file, ways, threads)
    opened: dict[str, Run] = {}
    absent: dict[str, str] = {}
    for name, open_way in ways.items():
        try:
            opened[name] = open_way()
        except (StrokeregError, ImportError) as error:
            absent[name] = str(error)
    return time_ways(opened, bundle, rounds, batch, size, threads).model_copy(update={"absent": absent})


def _add(file: Path, ways: dict[str, Callable[[], Run]], threads: int) -> None:
    """Add the ways of one exported file."""
    from strokereg.export.deploy import read_bundle
    from strokereg.export.formats import format_of

    kind, bundle = format_of(file), read_bundle(file)
    if kind == "onnx":
        from strokereg.export.runtime.session import open_file

        for backend, name in (("onnxruntime", "onnxruntime"), ("openvino", "OpenVINO")):
            if bundle.precision == "bf16" and backend == "onnxruntime":
                continue  # it computes such a file in fp32
            ways[f"{name}, {bundle.precision}"] = lambda backend=backend: open_file(file, backend, threads)[0].run  # type: ignore[misc]
        return

    def opened() -> Run:
        import torch

        from strokereg.export.check import opened as open_torch

        if threads:
            torch.set_num_threads(threads)
        return open_torch(file, bundle)

    ways["TorchScript" if kind == "torchscript" else "torch.export"] = opened
