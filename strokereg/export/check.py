"""An exported file, opened and measured against its run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from torch import nn

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.train.record import Record
from strokereg.export.bundle import (
    WRITERS,
    Lower,
    decision_of,
    first_line,
    refusal,
    require,
    unlike_runtime,
)
from strokereg.export.formats import format_of
from strokereg.export.graph import Inputs, graph_of, plain_copy
from strokereg.export.graph import run as run_graph
from strokereg.export.metadata import Bundle, Gate, Parity, read_bundle
from strokereg.export.runtime.segmenter import Segmenter
from strokereg.export.verify.gate import Engine, measure_gate
from strokereg.export.verify.parity import measure
from strokereg.registry.errors import InputError, RunFailed


def check_file(
    path: Path, model: nn.Module, record: Record, samples: Iterable[Inputs], lower: Lower | None = None
) -> tuple[Parity, Gate | None]:
    """Measure an exported file against its run again; for a lower precision the loss on validation cases too.

    Raises:
        InputError: the file cannot be opened, or holds another architecture.
        RunFailed: parity does not hold, or the loss is not allowed and was not forced (with the numbers).
    """
    bundle = _bundle_of(path, record)
    run, samples = opened(path, bundle), list(samples)
    graph, reference, threshold = graph_of(model, record), plain_copy(model), decision_of(record).threshold
    parity = measure(run, graph, reference, samples, threshold)
    if bundle.precision == "fp32":
        require(parity, str(path))
        return parity, None

    gate = measure_gate(lambda inputs: run_graph(graph, inputs), run, bundle, (lower or Lower()).cases, samples)
    if not gate.holds and not (bundle.gate and bundle.gate.forced):
        raise RunFailed(refusal(str(path), gate).partition(";")[0])
    return parity, gate


def check_scan_graph(path: Path, model: nn.Module, record: Record, cases: Iterable[CaseFiles]) -> Parity:
    """Measure a graph of a whole scan against the runtime around its run's network again.

    Raises:
        InputError: the file cannot be opened, or holds another architecture.
        RunFailed: it does not do as the runtime does (with the numbers).
    """
    from strokereg.export.scan import file

    bundle = _bundle_of(path, record)
    graph = graph_of(model, record)
    engine = Engine(lambda inputs: run_graph(graph, inputs))
    parity = file.compare(path, Segmenter(path, engine, bundle), file.scans_of(cases, bundle))
    if not parity.holds:
        raise RunFailed(unlike_runtime(str(path), parity))
    return parity


def _bundle_of(path: Path, record: Record) -> Bundle:
    bundle = read_file(path)
    if (bundle.role, bundle.architecture) != (record.role, record.architecture):
        raise InputError(f"{path}: holds {bundle.architecture}, the run {record.architecture}; give the file's own run")
    return bundle


def read_file(path: Path) -> Bundle:
    """The metadata of an exported file of any format.

    Raises:
        InputError: no such file, no such format, a file that cannot be opened, or no metadata in it.
    """
    writer = WRITERS[_kind(path)]
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a file that 'strokereg export' wrote")
    try:
        text = writer.read_text(path)
    except Exception as error:  # protobuf, zip and torch.jit raise errors of many kinds
        raise InputError(f"{path}: cannot be opened ({first_line(error)}); export the run again") from error
    return read_bundle(text, path)


def opened(path: Path, bundle: Bundle) -> Callable[[Inputs], np.ndarray]:
    """A function that runs an exported file of any format on the CPU."""
    if _kind(path) == "onnx" and bundle.precision != "fp32":
        from strokereg.export.write.precision import engine_of

        return engine_of(path, bundle.precision)
    return WRITERS[_kind(path)].opened(path)


def _kind(path: Path) -> str:
    """The format of a file; the graph of a whole scan is ONNX like others."""
    kind = format_of(path)
    return "onnx" if kind == "scan" else kind
