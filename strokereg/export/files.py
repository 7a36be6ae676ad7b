"""An exported file of any format: its metadata, and a function that runs it. Imports torch for torch's formats only."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from strokereg.export.formats import Format, Precision, format_of, model_in
from strokereg.export.inputs import RunGraph
from strokereg.export.metadata import KEY, Bundle, parse_bundle
from strokereg.export.runtime.onnx_header import read_header
from strokereg.export.runtime.session import open_file
from strokereg.registry.errors import InputError, first_line


def writer_of(kind: Format) -> ModuleType:
    """The module that writes and opens a format."""
    return importlib.import_module(f"strokereg.export.write.{kind}_file")


def read_bundle(path: Path | str) -> Bundle:
    """The metadata of an exported file, or of the model file in an exported folder.

    Raises:
        InputError: not an exported file, one that cannot be opened, or one without metadata.
    """
    path = model_in(path)
    kind = format_of(path)
    if kind in (Format.ONNX, Format.SCAN):
        return parse_bundle(read_header(path).metadata.get(KEY), path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a file that 'strokereg export' wrote")
    try:
        text = writer_of(kind).read_text(path)
    except Exception as error:  # zip and torch.jit raise errors of many kinds
        raise InputError(f"{path}: cannot be opened ({first_line(error)}); export the run again") from error
    return parse_bundle(text, path)


def open_on_cpu(path: Path) -> RunGraph:
    """A function that runs an exported file on the CPU, by the engine that its precision is made for."""
    kind = format_of(path)
    if kind == Format.SCAN:
        kind = Format.ONNX
    if kind == Format.ONNX:
        precision = read_bundle(path).precision
        if precision != Precision.FP32:
            return writer_of(kind).opened(path, precision)
    return writer_of(kind).opened(path)


def open_best(path: Path, bundle: Bundle) -> tuple[RunGraph, str]:
    """A function that runs an exported file on the best engine of this machine, and the engine's name."""
    if format_of(path) in (Format.ONNX, Format.SCAN):
        session, _ = open_file(path)
        return session.run, session.provider
    return open_on_cpu(path), "torch on CPU"
