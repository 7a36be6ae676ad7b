"""Measure an exported file again: against its run, or against the network's answers that it carries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from strokereg.core.train.record import RECORD
from strokereg.export.files import open_best, open_on_cpu, read_bundle
from strokereg.export.formats import Precision, model_in
from strokereg.export.metadata import Bundle, Gate, Parity
from strokereg.export.verify.probe import check_answers
from strokereg.registry.errors import InputError

if TYPE_CHECKING:
    from strokereg.export.run import TrainedRun


@dataclass(frozen=True)
class Checked:
    """What was measured of a file.

    Attributes:
        parity: with its network.
        gate: the loss of a lower precision, if it was measured.
        against: what the file was compared with, in words.
    """

    parity: Parity
    gate: Gate | None
    against: str


def check_export(path: Path | str, run: Path | str | None = None, data: Path | str | None = None) -> Checked:
    """Measure an exported file again.

    Args:
        path: an exported file or folder.
        run: that it came from; by default the one in whose `export` folder the file lies. Without a run, the file is
            compared with the network's answers that it carries, on the best engine of this machine; for ONNX that
            needs no torch.
        data: cohort to measure on; by default the run's own.

    Raises:
        InputError: see `export`; also a file that cannot be opened, or one of another architecture.
        RunFailed: parity does not hold, or the loss is too large (with the numbers).
    """
    run = run or _run_around(Path(path))
    path = model_in(path)
    bundle = read_bundle(path)
    if run is None:
        function, engine = open_best(path, bundle)
        return Checked(check_answers(function, bundle, path), None, f"its network's answers in the file, on {engine}")

    from strokereg.export.run import TrainedRun

    trained = TrainedRun.read(run, data)
    if (bundle.role, bundle.architecture) != (trained.record.role, trained.record.architecture):
        raise InputError(
            f"{path}: holds {bundle.architecture}, the run {trained.record.architecture}; give the file's own run"
        )
    if bundle.is_scan_graph:
        return Checked(_scan_graph(path, bundle, trained), None, f"its run {run}")
    return Checked(*_network(path, bundle, trained), f"its run {run}")


def _network(path: Path, bundle: Bundle, trained: TrainedRun) -> tuple[Parity, Gate | None]:
    from strokereg.export.exporter import postprocessing_of
    from strokereg.export.graph import graph_of, plain_copy, run
    from strokereg.export.samples import GATE_CASES
    from strokereg.export.verify.gate import measure_gate, require_gate
    from strokereg.export.verify.parity import measure, require

    record, samples, function = trained.record, trained.samples(), open_on_cpu(path)
    graph, threshold = graph_of(trained.model, record), postprocessing_of(record).threshold
    parity = measure(function, graph, plain_copy(trained.model), samples, threshold)
    if bundle.precision == Precision.FP32:
        require(parity, f"{path} is not the trained network")
        return parity, None
    gate = measure_gate(lambda inputs: run(graph, inputs), function, bundle, trained.cases(GATE_CASES), samples)
    if not (bundle.gate and bundle.gate.forced):
        require_gate(gate, str(path), "export it again")
    return parity, gate


def _scan_graph(path: Path, bundle: Bundle, trained: TrainedRun) -> Parity:
    from strokereg.export.graph import graph_of, run
    from strokereg.export.runtime.segmenter import Segmenter
    from strokereg.export.runtime.session import FunctionSession
    from strokereg.export.samples import CASES
    from strokereg.export.scan import file
    from strokereg.export.verify.parity import require

    graph = graph_of(trained.model, trained.record)
    segmenter = Segmenter(path, FunctionSession(lambda inputs: run(graph, inputs)), bundle)
    parity = file.compare(path, segmenter, file.scans_of(trained.cases(CASES), bundle))
    require(parity, f"{path}: {file.UNLIKE}")
    return parity


def _run_around(path: Path) -> Path | None:
    """The run in whose `export` folder a file lies."""
    run = path.resolve().parent.parent
    return run if (run / RECORD).is_file() else None
