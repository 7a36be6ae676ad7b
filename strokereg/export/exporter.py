"""Write a trained network in other formats, each file with metadata and its measured parity."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import nn

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.appearance import Ranges
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.storage.files import keep_foreign
from strokereg.core.train.record import Record
from strokereg.export import targets
from strokereg.export.files import read_bundle, writer_of
from strokereg.export.formats import Format, Precision, check_formats, check_precisions
from strokereg.export.graph import Graph, graph_of, plain_copy
from strokereg.export.inputs import Inputs, RunGraph
from strokereg.export.metadata import Bundle, Parity, Training
from strokereg.export.runtime.segmenter import Segmenter
from strokereg.export.runtime.session import ON_CPU, OnnxRuntime
from strokereg.export.verify.gate import measure_gate, require_gate
from strokereg.export.verify.parity import measure, require
from strokereg.export.verify.probe import SEED, make_probe
from strokereg.registry.errors import InputError, RunFailed, StrokeregError, first_line
from strokereg.registry.specs import Role


@dataclass(frozen=True)
class ExportSettings:
    """What to write.

    Attributes:
        formats: names of `formats.Format`; folders hold the float32 file.
        precisions: names of `formats.Precision`; those below fp32 are written as ONNX.
        force: write a lower precision even if its loss is too large; its metadata says so.
        licence: of the architecture's implementation.
    """

    formats: tuple[str, ...] = (Format.ONNX,)
    precisions: tuple[str, ...] = (Precision.FP32,)
    force: bool = False
    licence: str = ""


@dataclass(frozen=True)
class ExportData:
    """The data that files are measured on; edge sizes and random scans are always added.

    Attributes:
        samples: graph inputs from cases of a cohort, for parity (see `export.samples`).
        scans: cases on which a whole-scan graph is compared with the runtime.
        validation: cases with lesion masks, on which the loss of a lower precision is measured.
        calibration: graph inputs of training cases, for the ranges of int8.
        images: contrast → what the training scans looked like, for the metadata of a segmenter.
    """

    samples: list[Inputs] = field(default_factory=list)
    scans: list[CaseFiles] = field(default_factory=list)
    validation: list[CaseFiles] = field(default_factory=list)
    calibration: list[Inputs] = field(default_factory=list)
    images: dict[str, Ranges] = field(default_factory=dict)


def export_model(
    model: nn.Module,
    record: Record,
    out: Path,
    settings: ExportSettings | None = None,
    data: ExportData | None = None,
) -> list[Path]:
    """Write a trained network as `<architecture>.onnx`, `.int8.onnx`, `.pt`, `-web/` …; all files appear, or none.

    A lower precision that fails does not hold up the other files.

    Args:
        model: the network with its trained weights; it is copied, never changed.
        record: of the finished run.
        out: folder, made where missing.
        settings: formats and precisions.
        data: what the files are measured on.

    Returns:
        The files and folders, in the order of the formats, each with its precisions.

    Raises:
        InputError: unfinished run, unknown format or precision, a target that does not fit the network,
            or a folder that cannot be written.
        RunFailed: the network cannot be exported, or a file is not the network.
        PrecisionFailed: a lower precision cannot be made or loses too much (with the numbers); the other files are
            written.
    """
    settings = settings or ExportSettings()
    formats = check_formats(settings.formats)
    precisions = check_precisions(settings.precisions, formats)
    if not record.done:
        raise InputError(f"{record.architecture}: its training is not finished; run 'strokereg train' again to finish")
    targets.check_targets(formats, record)
    work = _Export(model, record, settings, data or ExportData())
    try:
        out.mkdir(parents=True, exist_ok=True)
        for kind in formats:
            if kind.is_folder:
                targets.check_place(out / f"{work.name}-{kind}")
        kept = [kind.suffix for kind in formats if not kind.is_folder]
        kept += [f".{one}.onnx" for one in precisions if one != Precision.FP32]
        keep_foreign([out / f"{work.name}{suffix}" for suffix in kept], _is_export)
        with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as folder:
            written = []
            for kind in formats:
                full = work.write(kind, Path(folder))
                written += [full] if Precision.FP32 in precisions or kind != Format.ONNX else []
                if kind == Format.ONNX:
                    written += work.reduce_all(full, [one for one in precisions if one != Precision.FP32])
            finished = [out / path.name for path in written]
            for path, target in zip(written, finished, strict=True):
                if path.is_dir():
                    targets.put(path, target, Path(folder))
                else:
                    os.replace(path, target)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error}); choose another folder") from error
    if work.failed:
        kept = f"; written all the same: {', '.join(path.name for path in finished)}" if finished else ""
        raise PrecisionFailed("; ".join(map(str, work.failed)) + kept, finished)
    return finished


class PrecisionFailed(RunFailed):
    """A lower precision could not be exported.

    Attributes:
        files: what was written nevertheless.
    """

    def __init__(self, message: str, files: list[Path]) -> None:
        super().__init__(message)
        self.files = files


class _Export:
    """One network while its files are written."""

    def __init__(self, model: nn.Module, record: Record, settings: ExportSettings, data: ExportData) -> None:
        self.reference = plain_copy(model)
        self.graph = graph_of(model, record)
        self.record, self.settings, self.data = record, settings, data
        self.name = record.architecture.replace(":", "-")  # of the files, without ending
        self.failed: list[RunFailed] = []  # of precisions

    def write(self, kind: Format, folder: Path) -> Path:
        """The float32 file or folder of one format, with its parity measured; written once, however often asked for."""
        if kind.is_folder:
            full = self.write(kind.holds, folder)
            return targets.build(kind, full, read_bundle(full), folder)
        path = folder / f"{self.name}{kind.suffix}"
        if not path.is_file():
            self._write_scan_graph(path) if kind == Format.SCAN else self._write_network(kind, path)
        return path

    def reduce_all(self, full: Path, precisions: list[Precision]) -> list[Path]:
        """The network in each of these precisions that holds; `failed` gets the others."""
        made = []
        for precision in precisions:
            try:
                made.append(self.reduce(full, precision))
            except RunFailed as error:
                self.failed.append(error)
        return made

    def reduce(self, full: Path, precision: Precision) -> Path:
        """The network in a lower precision, with its loss against the file `full` (ONNX) measured."""
        from strokereg.export.write.precision import convert

        writer = writer_of(Format.ONNX)
        path = full.with_name(f"{full.stem}.{precision}{full.suffix}")
        plain = full.with_name(f"{full.stem}.plain{full.suffix}")
        with _one_sentence(f"{self.record.architecture}: cannot be converted to {precision}"):
            plain.write_bytes(self.graph.onnx)
            convert(plain, path, precision, self.data.calibration)
            run = writer.opened(path, precision)
            bundle = self._describe(self._measure(run), run, writer.versions(), precision)
            gate = measure_gate(writer.opened(full), run, bundle, self.data.validation, self.data.samples)
        calibrated = len(self.data.calibration) if precision == Precision.INT8 else 0
        forced = self.settings.force and not gate.holds
        if not forced:
            require_gate(gate, f"{self.record.architecture} in {precision}", "add --force to write it nevertheless")
        gate = gate.model_copy(update={"calibrated_on": calibrated, "forced": forced})
        writer.annotate(path, bundle.model_copy(update={"gate": gate}).to_json())
        return path

    def _write_network(self, kind: Format, path: Path) -> None:
        writer = writer_of(kind)
        example = self.graph.random(2, self.graph.sizes.example, np.random.RandomState(1))
        with _one_sentence(f"{self.record.architecture}: cannot be exported to {kind}"):
            writer.write(self.graph, example, path)
            run = writer.opened(path)
            parity = self._measure(run)
        require(parity, f"{self.record.architecture}: the {kind} file is not the trained network")
        writer.annotate(path, self._describe(parity, run, writer.versions()).to_json())

    def _write_scan_graph(self, path: Path) -> None:
        """The whole-scan graph around the float32 ONNX file, compared with the runtime around that very file."""
        from strokereg.export.scan import file

        full = self.write(Format.ONNX, path.parent)
        bundle = read_bundle(full)
        with _one_sentence(f"{self.record.architecture}: no whole-scan graph can be made"):
            file.write(full, bundle, path)
            segmenter = Segmenter(full, OnnxRuntime(full, settings=ON_CPU), bundle)
            parity = file.compare(path, segmenter, file.scans_of(self.data.scans, bundle))
        require(parity, f"{self.record.architecture}: {file.UNLIKE}")
        writer_of(Format.ONNX).annotate(path, file.describe(bundle, parity, segmenter).to_json())

    def _measure(self, run: RunGraph) -> Parity:
        return measure(run, self.graph, self.reference, self.data.samples, postprocessing_of(self.record).threshold)

    @cached_property
    def _probe(self) -> tuple[Inputs, tuple[int, ...], np.ndarray]:
        size = self.graph.sizes.smallest if self.graph.spatial else ()
        inputs = self.graph.random(2, size, np.random.RandomState(SEED))
        with torch.inference_mode():
            return inputs, size, self.graph.reference(self.reference, inputs).numpy()

    def _describe(
        self, parity: Parity, run: RunGraph, versions: dict[str, str], precision: Precision = Precision.FP32
    ) -> Bundle:
        bundle = describe_bundle(self.graph, self.record, parity, versions, self.settings.licence)
        training = bundle.training.model_copy(update={"images": self.data.images})
        probe = make_probe(*self._probe, run)
        return bundle.model_copy(update={"precision": precision, "probe": probe, "training": training})


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
        postprocessing=postprocessing_of(record) if record.role == Role.SEGMENTER else None,
        training=Training(
            cohort=str(record.cohort.get("name", "")),
            simulated=record.cohort.get("simulated"),
            versions=record.versions,
        ),
        parity=parity,
        versions={"strokereg": version("strokereg"), **versions},
        licence=licence or "not stated",
    )


def postprocessing_of(record: Record) -> Postprocessing:
    """The postprocessing of a run, or the default one."""
    return record.postprocessing or Postprocessing()


def _is_export(path: Path) -> bool:
    """True for a file that strokereg exported, which a new export may replace."""
    try:
        return bool(read_bundle(path).versions)
    except InputError:
        return False


@contextlib.contextmanager
def _one_sentence(what: str) -> Iterator[None]:
    """Turn whatever exporters and tracers raise because of the network's code into one sentence."""
    try:
        yield
    except (StrokeregError, OSError):
        raise
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:  # exporters wrap the first error in many lines of advice
            cause = cause.__cause__
        raise RunFailed(f"{what} ({first_line(cause)})") from error
