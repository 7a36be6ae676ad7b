"""Deployment targets: folders around an exported model file, for Triton, MONAI and the browser.

A folder is built under a temporary name and takes its place complete, as a file does.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from pathlib import Path

from strokereg.core.train.record import Record
from strokereg.export.formats import Format, model_in
from strokereg.export.metadata import Bundle
from strokereg.registry.errors import InputError
from strokereg.registry.specs import Role

_FOR_SEGMENTERS = {Format.MONAI: "the bundle", Format.WEB: "the page", Format.SCAN: "the whole-scan graph"}


def check_targets(formats: Iterable[Format], record: Record) -> None:
    """Refuse, before any work, a target or a whole-scan graph that cannot be built for a run.

    Raises:
        InputError: a role that the target has no use for, a preparation that it cannot do, or a web page whose
            libraries cannot be fetched.
    """
    name, role, preparation = record.architecture, record.role, record.preparation
    usual = (preparation.scaling, preparation.interpolation) == ("median", "linear")
    for kind in formats:
        if kind in _FOR_SEGMENTERS and role != Role.SEGMENTER:
            raise InputError(
                f"--format {kind}: {_FOR_SEGMENTERS[kind]} segments scans, and {name} is a {role}; "
                "export it to onnx, torchscript, pt2 or triton"
            )
        if kind == Format.MONAI and not usual:
            raise InputError(
                f"--format {kind}: {_FOR_SEGMENTERS[kind]} scales by the median and interpolates linearly, and "
                f"{name} was trained with {preparation.scaling} and {preparation.interpolation}; "
                "export it to onnx, scan or web"
            )
        if kind == Format.WEB:
            from strokereg.export.targets.libraries import libraries

            libraries()


def build(kind: Format, model: Path, bundle: Bundle, folder: Path) -> Path:
    """Build the folder of a target around a model file.

    Args:
        kind: a format that is a folder.
        model: exported file of the format `kind.holds`; it is copied.
        folder: where the new folder is made.

    Returns:
        `<architecture>-<kind>` in `folder`.
    """
    made = folder / f"{model.name.removesuffix(kind.holds.suffix)}-{kind}"
    made.mkdir()
    importlib.import_module(f"strokereg.export.targets.{kind}").write(model, bundle, made)
    return made


def check_place(target: Path) -> None:
    """Refuse to replace anything but an earlier export of this kind.

    Raises:
        InputError: a file, or a folder with something else in it.
    """
    page = all((target / name).is_file() for name in ("model.onnx", "worker.js"))  # of `strokereg web`, by any name
    if target.is_symlink() or (target.exists() and model_in(target) == target and not page):
        raise InputError(f"{target}: is in the way and no export of this kind; move it or choose another folder")


def put(made: Path, target: Path, aside: Path) -> None:
    """Move a folder to its place; an earlier export there goes to `aside`, a folder that is deleted later."""
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
