"""Formats and precisions of exported files. No torch here, so names are checked before any work."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from strokereg.registry.errors import InputError, did_you_mean


class Format(StrEnum):
    """What `strokereg export` writes: model files, and folders around a model file."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    PT2 = "pt2"
    SCAN = "scan"
    TRITON = "triton"
    MONAI = "monai"
    WEB = "web"

    @property
    def is_folder(self) -> bool:
        """True for deployment targets."""
        return self in _MODEL_IN

    @property
    def suffix(self) -> str:
        """The ending of a model file."""
        return _SUFFIXES[self]

    @property
    def holds(self) -> Format:
        """The format of the model file in a folder."""
        return _MODEL_IN[self][0]


class Precision(StrEnum):
    """The precision of the network in a file; inputs and outputs are float32 in each."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"


_SUFFIXES = {Format.ONNX: ".onnx", Format.TORCHSCRIPT: ".pt", Format.PT2: ".pt2", Format.SCAN: ".scan.onnx"}
# Folder → the format of the model file in it, and where that lies.
_MODEL_IN = {
    Format.TRITON: (Format.ONNX, "*/1/model.onnx"),
    Format.MONAI: (Format.TORCHSCRIPT, "models/model.ts"),
    Format.WEB: (Format.SCAN, "model.onnx"),
}
Name = TypeVar("Name", bound=StrEnum)


def check_formats(names: Iterable[str]) -> tuple[Format, ...]:
    """The requested formats, each once, in the order given.

    Raises:
        InputError: an unknown format, or none at all.
    """
    return _known(names, Format, "--format")


def check_precisions(names: Iterable[str], formats: Iterable[Format]) -> tuple[Precision, ...]:
    """The requested precisions, each once, in the order given.

    Raises:
        InputError: an unknown precision, none at all, or one below fp32 without ONNX among the formats.
    """
    precisions = _known(names, Precision, "--precision")
    if Format.ONNX not in formats and precisions != (Precision.FP32,):
        raise InputError(f"--precision {','.join(precisions)}: below fp32 only ONNX is written; add --format onnx")
    return precisions


def format_of(path: Path | str) -> Format:
    """The format of an exported file, by its ending.

    Raises:
        InputError: the ending belongs to no format.
    """
    path = Path(path)
    endings = [(suffix, name) for name, suffix in (*_SUFFIXES.items(), (Format.TORCHSCRIPT, ".ts"))]  # .ts is MONAI's
    for suffix, name in sorted(endings, key=lambda ending: -len(ending[0])):
        if path.name.endswith(suffix):
            return name
    raise InputError(f"{path}: not an exported model; give a file that ends in .onnx, .pt or .pt2")


def holds_network(path: Path) -> bool:
    """True for a model file that takes what a network takes, by its ending."""
    return path.suffix in _SUFFIXES.values() and not path.name.endswith(Format.SCAN.suffix)


def model_in(path: Path | str) -> Path:
    """The model file in the folder of a deployment target (`unet-triton` …); any other path is returned unchanged."""
    path = Path(path)
    name = path.name.rpartition("-")[2]
    if not path.is_dir() or name not in list(_MODEL_IN):
        return path
    return next(path.glob(_MODEL_IN[Format(name)][1]), path)


def _known(names: Iterable[str], kinds: type[Name], option: str) -> tuple[Name, ...]:
    known = [str(kind) for kind in kinds]
    chosen = tuple(dict.fromkeys(name.strip().lower() for name in names if name.strip()))
    for name in chosen:
        if name not in known:
            raise InputError(f"{option} {name}: unknown{did_you_mean(name, known)}; known are {', '.join(known)}")
    if not chosen:
        raise InputError(f"{option}: names no {option.removeprefix('--')}; known are {', '.join(known)}")
    return tuple(kinds(name) for name in chosen)
