"""A trained network and its run's record → files in other formats, each with metadata and its parity numbers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
from torch import nn

from strokereg.core.errors import InputError, RunFailed, StrokeregError
from strokereg.core.record import Decision, Record
from strokereg.export import onnx_file, torchscript_file
from strokereg.export.formats import SUFFIXES, check_formats, format_of
from strokereg.export.graph import Graph, Inputs, graph_of, plain_copy
from strokereg.export.metadata import Bundle, Parity, Training, read_bundle
from strokereg.export.parity import AGREEMENT, TOLERANCE, holds, measure

_WRITERS: dict[str, ModuleType] = {"onnx": onnx_file, "torchscript": torchscript_file}


def export_model(
    model: nn.Module,
    record: Record,
    samples: Iterable[Inputs],
    out: Path,
    formats: Iterable[str] = ("onnx",),
    licence: str = "",
) -> list[Path]:
    """Write a trained network as `<architecture>.onnx`, `.pt` …; all files appear, or none.

    Args:
        model: as built and loaded; it is copied, never changed.
        record: of the run; must be done.
        samples: graph inputs from cases of a cohort (see `export.samples`); edge sizes are added here.
        out: folder, made where missing.
        formats: names out of `formats.SUFFIXES`.
        licence: of the architecture's implementation.

    Returns:
        The files, in the order of `formats`.

    Raises:
        InputError: unfinished run, unknown format, or a folder that cannot be written.
        RunFailed: the network cannot be exported, or the file is not the network (with the numbers).
    """
    formats = check_formats(formats)
    if not record.done:
        raise InputError(f"{record.architecture}: its training is not finished; run 'strokereg train' again to finish")
    samples = list(samples)
    reference = plain_copy(model)
    graph = graph_of(model, record)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as folder:
            written = [_export(name, graph, reference, record, samples, Path(folder), licence) for name in formats]
            finished = [out / path.name for path in written]
            for path, target in zip(written, finished, strict=True):
                os.replace(path, target)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error}); choose another folder") from error
    return finished


def check_file(path: Path, model: nn.Module, record: Record, samples: Iterable[Inputs]) -> Parity:
    """Measure an exported file against its run again.

    Raises:
        InputError: the file cannot be opened, or holds another architecture.
        RunFailed: parity does not hold (with the numbers).
    """
    bundle = read_file(path)
    if (bundle.role, bundle.architecture) != (record.role, record.architecture):
        raise InputError(f"{path}: holds {bundle.architecture}, the run {record.architecture}; give the file's own run")
    run = _WRITERS[format_of(path)].opened(path)
    parity = measure(run, graph_of(model, record), plain_copy(model), samples, _decision(record).threshold)
    _require(parity, str(path))
    return parity


def read_file(path: Path) -> Bundle:
    """The metadata of an exported file of any format.

    Raises:
        InputError: no such file, no such format, a file that cannot be opened, or no metadata in it.
    """
    writer = _WRITERS[format_of(path)]
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a file that 'strokereg export' wrote")
    try:
        text = writer.read_text(path)
    except Exception as error:  # protobuf and torch.jit raise errors of many kinds
        raise InputError(f"{path}: cannot be opened ({_first_line(error)}); export the run again") from error
    return read_bundle(text, path)


def _export(
    name: str, graph: Graph, reference: nn.Module, record: Record, samples: list[Inputs], folder: Path, licence: str
) -> Path:
    writer = _WRITERS[name]
    path = folder / f"{record.architecture.replace(':', '-')}{SUFFIXES[name]}"
    try:
        writer.write(graph, graph.random(2, graph.sizes.example, np.random.default_rng(1)), path)
        parity = measure(writer.opened(path), graph, reference, samples, _decision(record).threshold)
    except (StrokeregError, OSError):
        raise
    except Exception as error:  # exporters and tracers raise whatever the network's code makes them raise
        raise RunFailed(f"{record.architecture}: cannot be exported to {name} ({_first_line(_root(error))})") from error
    _require(parity, f"{record.architecture}: the {name} file")
    writer.annotate(path, describe_bundle(graph, record, parity, writer.versions(), licence).to_json())
    return path


def describe_bundle(graph: Graph, record: Record, parity: Parity, versions: dict[str, str], licence: str) -> Bundle:
    """Gather the metadata of one file."""
    return Bundle(
        role=record.role,  # type: ignore[arg-type]
        architecture=record.architecture,
        distribution=record.distribution,
        version=record.version,
        dims=record.problem.dims,  # type: ignore[arg-type]
        size=record.problem.size,
        inputs=graph.inputs,
        output=graph.output,
        channels=record.preparation.channels,
        labels=record.labels,
        preparation=record.preparation,
        decision=_decision(record) if record.role == "segmenter" else None,
        training=Training(
            cohort=str(record.cohort.get("name", "")),
            simulated=record.cohort.get("simulated"),
            versions=record.versions,
        ),
        parity=parity,
        versions={"strokereg": version("strokereg"), **versions},
        licence=licence or "not stated",
    )


def _require(parity: Parity, what: str) -> None:
    if not holds(parity):
        raise RunFailed(
            f"{what} is not the trained network: {parity}; allowed are {TOLERANCE:g} and "
            f"{100 * AGREEMENT:g} % of voxels"
        )


def _decision(record: Record) -> Decision:
    return record.decision or Decision()


def _root(error: BaseException) -> BaseException:
    """What went wrong first: exporters wrap it in advice of many lines."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
