"""A trained network and its run's record → files in other formats, each with metadata and its parity numbers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import nn

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.train.record import Record
from strokereg.export import targets
from strokereg.export.formats import SUFFIXES, TARGETS, check_formats, check_precisions
from strokereg.export.graph import Graph, Inputs, graph_of, plain_copy
from strokereg.export.metadata import (
    AGREEMENT,
    TOLERANCE,
    Bundle,
    Gate,
    Parity,
    Training,
    read_bundle,
)
from strokereg.export.runtime.segmenter import Segmenter
from strokereg.export.runtime.session import OnnxRuntime
from strokereg.export.verify.gate import measure_gate
from strokereg.export.verify.parity import measure
from strokereg.export.verify.probe import SEED, make_probe
from strokereg.export.write import onnx_file, pt2_file, torchscript_file
from strokereg.registry.errors import InputError, RunFailed, StrokeregError

WRITERS: dict[str, ModuleType] = {"onnx": onnx_file, "torchscript": torchscript_file, "pt2": pt2_file}


@dataclass(frozen=True)
class Lower:
    """What precisions below fp32 need.

    Attributes:
        calibration: graph inputs of training cases, on which int8 ranges are found.
        cases: validation cases with lesion masks, on which a segmenter's Dice is measured.
        force: write a file whose loss is not allowed all the same; its metadata say so.
    """

    calibration: list[Inputs] = field(default_factory=list)
    cases: list[CaseFiles] = field(default_factory=list)
    force: bool = False


def export_model(
    model: nn.Module,
    record: Record,
    samples: Iterable[Inputs],
    out: Path,
    formats: Iterable[str] = ("onnx",),
    licence: str = "",
    precisions: Iterable[str] = ("fp32",),
    lower: Lower | None = None,
    cases: Iterable[CaseFiles] = (),
) -> list[Path]:
    """Write a trained network as `<architecture>.onnx`, `.int8.onnx`, `.pt`, `-web/` …; all appear, or none.

    Args:
        model: as built and loaded; it is copied, never changed.
        record: of the run; must be done.
        samples: graph inputs from cases of a cohort (see `export.samples`); edge sizes are added here.
        out: folder, made where missing.
        formats: names out of `formats.SUFFIXES` and `formats.TARGETS`; the latter hold the float32 file.
        licence: of the architecture's implementation.
        precisions: names out of `formats.PRECISIONS`; those below fp32 are written as ONNX.
        lower: cases for them.
        cases: whose scans the graph of a whole scan is measured on; drawn ones are added here.

    Returns:
        The files and folders, in the order of `formats`, each with its precisions.

    Raises:
        InputError: unfinished run, unknown format or precision, a home that is not for this role or cannot be built,
            or a folder that cannot be written.
        RunFailed: the network cannot be exported, or the file is not the network, or a lower precision costs too
            much (with the numbers).
    """
    formats, precisions = check_formats(formats), check_precisions(precisions, formats)
    if not record.done:
        raise InputError(f"{record.architecture}: its training is not finished; run 'strokereg train' again to finish")
    targets.check_targets(formats, record.role, record.architecture, record.preparation)
    network = plain_copy(model), graph_of(model, record)
    work = Work(*network, record, list(samples), licence, lower or Lower(), tuple(cases))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in set(formats) & set(TARGETS):
            targets.check_place(out / f"{work.name}-{name}")
        with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as folder:
            written = []
            for name in formats:
                if name in TARGETS:
                    written.append(work.target_folder(name, Path(folder)))
                    continue
                if name == "scan":
                    written.append(work.scan_graph(Path(folder)))
                    continue
                full = work.write(name, Path(folder))
                written += [full] if "fp32" in precisions else []
                if name == "onnx":
                    written += [work.reduce(full, precision) for precision in precisions if precision != "fp32"]
            finished = [out / path.name for path in written]
            for path, target in zip(written, finished, strict=True):
                if path.is_dir():
                    targets.put(path, target, Path(folder))
                else:
                    os.replace(path, target)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error}); choose another folder") from error
    return finished


@dataclass(frozen=True)
class Work:
    """One network on its way into files."""

    reference: nn.Module
    graph: Graph
    record: Record
    samples: list[Inputs]
    licence: str
    lower: Lower
    cases: tuple[CaseFiles, ...] = ()

    @property
    def name(self) -> str:
        """Of the files, without ending."""
        return self.record.architecture.replace(":", "-")

    def target_folder(self, home: str, folder: Path) -> Path:
        """The folder of one home, around the float32 file of the format that it takes."""
        kind, _ = TARGETS[home]
        full = self.write(kind, folder)
        return targets.build(home, full, read_bundle(WRITERS[kind].read_text(full), full), folder)

    def scan_graph(self, folder: Path) -> Path:
        """The graph of a whole scan around the float32 ONNX file, measured beside the runtime with that very file."""
        from strokereg.export.scan import file

        full, path = self.write("onnx", folder), folder / f"{self.name}{SUFFIXES['scan']}"
        bundle = read_bundle(onnx_file.read_text(full), full)
        with _failing(f"{self.record.architecture}: no graph of a whole scan can be made"):
            file.write(full, bundle, path)
            segmenter = Segmenter(full, OnnxRuntime(full, cpu=True), bundle)
            parity = file.compare(path, segmenter, file.scans_of(self.cases, bundle))
        if not parity.holds:
            raise RunFailed(unlike_runtime(self.record.architecture, parity))
        onnx_file.annotate(path, file.describe(bundle, parity, segmenter).to_json())
        return path

    def write(self, name: str, folder: Path) -> Path:
        """The file of one format, in float32, with its parity measured and held; once, however often asked for."""
        writer = WRITERS[name]
        path = folder / f"{self.name}{SUFFIXES[name]}"
        if path.is_file():
            return path
        example = self.graph.random(2, self.graph.sizes.example, np.random.RandomState(1))
        with _failing(f"{self.record.architecture}: cannot be exported to {name}"):
            writer.write(self.graph, example, path)
            run = writer.opened(path)
            parity = self._measure(run)
        require(parity, f"{self.record.architecture}: the {name} file")
        writer.annotate(path, self._describe(parity, run, writer.versions()).to_json())
        return path

    def reduce(self, full: Path, precision: str) -> Path:
        """The network in another precision, its loss against the file `full` (ONNX) measured and allowed, or forced."""
        from strokereg.export.write.precision import convert, engine_of

        path = full.with_name(f"{full.stem}.{precision}{full.suffix}")
        plain = full.with_name(f"{full.stem}.plain{full.suffix}")
        with _failing(f"{self.record.architecture}: cannot be brought to {precision}"):
            plain.write_bytes(self.graph.onnx)
            convert(plain, path, precision, self.lower.calibration)
            run = engine_of(path, precision)
            parity = self._measure(run)
            bundle = self._describe(parity, run, onnx_file.versions(), precision)
            gate = measure_gate(onnx_file.opened(full), run, bundle, self.lower.cases, self.samples)
        calibrated = len(self.lower.calibration) if precision == "int8" else 0
        gate = gate.model_copy(update={"calibrated_on": calibrated, "forced": self.lower.force and not gate.holds})
        if not gate.holds and not self.lower.force:
            raise RunFailed(refusal(f"{self.record.architecture} in {precision}", gate))
        onnx_file.annotate(path, bundle.model_copy(update={"gate": gate}).to_json())
        return path

    def _measure(self, run: Callable[[Inputs], np.ndarray]) -> Parity:
        return measure(run, self.graph, self.reference, self.samples, decision_of(self.record).threshold)

    def _describe(self, parity: Parity, run, versions: dict[str, str], precision: str = "fp32") -> Bundle:
        size = self.graph.sizes.smallest if self.graph.spatial else ()
        inputs = self.graph.random(2, size, np.random.RandomState(SEED))
        with torch.inference_mode():
            expected = self.graph.reference(self.reference, inputs).numpy()
        bundle = describe_bundle(self.graph, self.record, parity, versions, self.licence)
        probe = make_probe(inputs, size, expected, run)
        return bundle.model_copy(update={"precision": precision, "probe": probe})


def describe_bundle(graph: Graph, record: Record, parity: Parity, versions: dict[str, str], licence: str) -> Bundle:
    """Gather the metadata of one file."""
    return Bundle(
        role=record.role,  # type: ignore[arg-type]
        architecture=record.architecture,
        distribution=record.distribution,
        version=record.version,
        dims=record.problem.dims,  # type: ignore[arg-type]
        size=record.problem.size,
        steps=graph.sizes.steps if graph.spatial else (),
        noise=graph.noise,
        inputs=graph.inputs,
        output=graph.output,
        channels=record.preparation.channels,
        labels=record.labels,
        preparation=record.preparation,
        postprocessing=decision_of(record) if record.role == "segmenter" else None,
        training=Training(
            cohort=str(record.cohort.get("name", "")),
            simulated=record.cohort.get("simulated"),
            versions=record.versions,
        ),
        parity=parity,
        versions={"strokereg": version("strokereg"), **versions},
        licence=licence or "not stated",
    )


def require(parity: Parity, what: str) -> None:
    """Refuse a float32 file that is not the network.

    Raises:
        RunFailed: with the numbers.
    """
    if not parity.holds:
        raise RunFailed(
            f"{what} is not the trained network: {parity}; allowed are {TOLERANCE:g} and "
            f"{100 * AGREEMENT:g} % of voxels"
        )


def unlike_runtime(what: str, parity: Parity) -> str:
    """The sentence of a graph of a whole scan that does not do as the runtime does."""
    return (
        f"{what}: the graph of a whole scan does not do as 'strokereg segment' does: {parity}; "
        f"allowed are {TOLERANCE:g} and {100 * AGREEMENT:g} % of voxels"
    )


def refusal(what: str, gate: Gate) -> str:
    """The sentence of a file that costs too much."""
    return (
        f"{what} loses {gate.loss:.4f} ({gate}), allowed is {gate.allowed:g}; "
        "nothing is written, --force writes it all the same"
    )


def decision_of(record: Record) -> Postprocessing:
    """The rule of a run, or the default one."""
    return record.postprocessing or Postprocessing()


class _failing:
    """Exporters and tracers raise whatever the network's code makes them raise: it becomes one sentence."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error: BaseException | None, trace) -> None:
        if isinstance(error, Exception) and not isinstance(error, (StrokeregError, OSError)):
            raise RunFailed(f"{self.what} ({first_line(_root(error))})") from error


def _root(error: BaseException) -> BaseException:
    """What went wrong first: exporters wrap it in advice of many lines."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def first_line(error: BaseException) -> str:
    """The first line of a message that says anything."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
