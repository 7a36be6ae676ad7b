"""The formats and precisions that a run can be exported to. No torch here: names are checked before any work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from strokereg.registry.errors import InputError, did_you_mean

#: Format → ending of its files.
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "pt2": ".pt2", "scan": ".scan.onnx"}
#: Format that is a folder → the format of the model file in it, and where that lies.
TARGETS = {
    "triton": ("onnx", "*/1/model.onnx"),
    "monai": ("torchscript", "models/model.ts"),
    "web": ("scan", "model.onnx"),
}
PRECISIONS = ("fp32", "fp16", "bf16", "int8")


def check_formats(names: Iterable[str]) -> tuple[str, ...]:
    """The formats asked for, each once, in the order given.

    Raises:
        InputError: an unknown format, or none at all.
    """
    return _known(names, (*SUFFIXES, *TARGETS), "--format")


def check_precisions(names: Iterable[str], formats: Iterable[str]) -> tuple[str, ...]:
    """The precisions asked for, each once, in the order given.

    Raises:
        InputError: an unknown precision, none at all, or one below fp32 without ONNX among the formats.
    """
    precisions = _known(names, PRECISIONS, "--precision")
    if "onnx" not in formats and precisions != ("fp32",):
        raise InputError(f"--precision {','.join(precisions)}: below fp32 only ONNX is written; add --format onnx")
    return precisions


def format_of(path: Path | str) -> str:
    """The format of an exported file, by its ending.

    Raises:
        InputError: the ending belongs to no format.
    """
    path = Path(path)
    endings = [(suffix, name) for name, suffix in (*SUFFIXES.items(), ("torchscript", ".ts"))]  # .ts is MONAI's
    for suffix, name in sorted(endings, key=lambda ending: -len(ending[0])):
        if path.name.endswith(suffix):
            return name
    *others, last = (SUFFIXES[name] for name in ("onnx", "torchscript", "pt2"))
    raise InputError(f"{path}: not an exported model; give a file that ends in {', '.join(others)} or {last}")


def holds_network(path: Path) -> bool:
    """By its ending a model file, and one that takes what a network takes."""
    return path.suffix in SUFFIXES.values() and not path.name.endswith(SUFFIXES["scan"])


def model_in(path: Path | str) -> Path:
    """The model file of a home's folder, whose name ends in `-<home>`; any other path is given back as it is."""
    path = Path(path)
    _, where = TARGETS.get(path.name.rpartition("-")[2], ("", ""))
    return next(path.glob(where), path) if where and path.is_dir() else path


def _known(names: Iterable[str], known: tuple[str, ...], option: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(name.strip().lower() for name in names if name.strip()))
    for name in chosen:
        if name not in known:
            raise InputError(f"{option} {name}: unknown{did_you_mean(name, known)}; known are {', '.join(known)}")
    if not chosen:
        raise InputError(f"{option}: names no {option.removeprefix('--')}; known are {', '.join(known)}")
    return chosen
