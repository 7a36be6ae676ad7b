"""Deployment targets of an exported model: Triton repository, MONAI bundle, web page. Each is a folder around the file.

A folder is built under a temporary name and takes its place whole, as a file does.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from pathlib import Path

from strokereg.core.scan.grid import Preparation
from strokereg.export.formats import model_in
from strokereg.export.metadata import Bundle
from strokereg.registry.errors import InputError

_SEGMENTERS = {"monai": "the bundle", "web": "the page", "scan": "the graph of a whole scan"}


def check_targets(formats: Iterable[str], role: str, name: str, preparation: Preparation) -> None:
    """Refuse, before any work, a home or a graph of a whole scan that cannot be built.

    Raises:
        InputError: a role that the home has no use for, a preparation that it cannot do, or a web page whose libraries
            cannot be had.
    """
    usual = (preparation.scaling, preparation.interpolation) == ("median", "linear")
    for home in formats:
        if home in _SEGMENTERS and role != "segmenter":
            raise InputError(
                f"--format {home}: {_SEGMENTERS[home]} segments scans, and {name} is a {role}; "
                "export it to onnx, torchscript, pt2 or triton"
            )
        if home in ("monai", "web") and not usual:
            raise InputError(
                f"--format {home}: {_SEGMENTERS[home]} scales by the median and interpolates linearly, and {name} was "
                f"trained with {preparation.scaling} and {preparation.interpolation}; export it to onnx"
            )
        if home == "web":
            from strokereg.export.targets.libraries import libraries

            libraries()


def build(home: str, model: Path, bundle: Bundle, folder: Path) -> Path:
    """Build the folder of a home around a model file.

    Args:
        home: a name out of `formats.TARGETS`.
        model: exported file of the format that the home takes; it is copied.
        folder: where the new folder is made.

    Returns:
        `<architecture>-<home>` in `folder`.
    """
    made = folder / f"{model.stem}-{home}"
    made.mkdir()
    importlib.import_module(f"strokereg.export.targets.{home}").write(model, bundle, made)
    return made


def check_place(target: Path) -> None:
    """Refuse to replace a folder that is none of ours.

    Raises:
        InputError: a file, or a folder with something else in it.
    """
    if target.is_symlink() or (target.exists() and model_in(target) == target):
        raise InputError(f"{target}: is in the way and no export of this kind; move it or choose another folder")


def put(made: Path, target: Path, aside: Path) -> None:
    """Let a folder take its place; an older one of ours goes to `aside`, a folder that is cleared away later."""
    check_place(target)
    old = aside / f"old-{target.name}"
    if target.exists():
        os.replace(target, old)
    try:
        os.replace(made, target)
    except BaseException:
        if old.exists():
            os.replace(old, target)
        raise
