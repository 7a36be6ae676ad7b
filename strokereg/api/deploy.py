"""From a run to files, and from files to masks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from strokereg.core.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from strokereg.core.record import Record
    from strokereg.export.metadata import Bundle, Parity
    from strokereg.export.runtime import Segmenter


def load(path: Path | str) -> Segmenter:
    """Open an exported segmenter; needs no torch. See `strokereg.export.runtime`.

    Raises:
        InputError: not an ONNX file that `strokereg export` wrote, or not a segmenter.
    """
    from strokereg.export.runtime import load as open_model

    return open_model(path)


def export(
    run: Path | str, formats: Iterable[str] = ("onnx",), out: Path | str | None = None, data: Path | str | None = None
) -> list[Path]:
    """Turn a finished run into files that can be deployed; all are written, or none.

    Args:
        run: folder that `train` made.
        formats: out of "onnx" and "torchscript".
        out: folder for the files; by default `export` inside the run folder.
        data: cohort on whose cases parity is measured; by default the one that the run was trained on.

    Returns:
        The files, in the order of `formats`.

    Raises:
        InputError: no finished run, an unknown format, no cohort to measure on, or no way to write.
        RunFailed: the network cannot be exported, or an exported file is not the network.
    """
    from strokereg.export.formats import check_formats

    formats = check_formats(formats)
    record, model, licence = _trained(Path(run))

    from strokereg.export.bundle import export_model

    samples = _samples(record, model, run, data)
    return export_model(model, record, samples, Path(out) if out else Path(run) / "export", formats, licence)


def check_export(path: Path | str, run: Path | str, data: Path | str | None = None) -> Parity:
    """Measure an exported file against its run again.

    Raises:
        InputError: see `export`; also a file that cannot be opened or belongs to another architecture.
        RunFailed: parity does not hold (with the numbers).
    """
    from strokereg.export.formats import format_of

    format_of(path)
    record, model, _ = _trained(Path(run))

    from strokereg.export.bundle import check_file

    return check_file(Path(path), model, record, _samples(record, model, run, data))


def read_bundle(path: Path | str) -> Bundle:
    """The metadata of an exported file of any format.

    Raises:
        InputError: a file that cannot be opened or holds no metadata.
    """
    from strokereg.export.bundle import read_file

    return read_file(Path(path))


def _trained(run: Path) -> tuple[Record, nn.Module, str]:
    """Record, trained network and licence of a finished run.

    Raises:
        InputError: also where the network's code is a file of its own, which is not given or has changed.
    """
    from strokereg.core.record import Record
    from strokereg.core.runs import load_model
    from strokereg.registry.catalogue import build, find

    record = Record.read(run)
    try:
        entry = find(record.architecture, record.role)
    except InputError as error:
        if not record.version.startswith("sha256:"):
            raise
        named = f"strokereg --plugin {record.distribution} export …"
        raise InputError(f"{run}: was trained by the file {record.distribution}; name it: {named}") from error
    if not entry.installed and entry.version != record.version:
        raise InputError(
            f"{run}: was trained by {record.distribution} as it was ({record.version}), and it is now "
            f"{entry.version}; bring the old file back, or train again"
        )
    return *load_model(run, build), entry.spec.licence


def _samples(record: Record, model: nn.Module, run: Path | str, data: Path | str | None) -> list:
    from strokereg.export.samples import samples_of

    root = data or record.cohort.get("path")
    if record.role != "generator" and (not root or not Path(root).is_dir()):
        raise InputError(f"{run}: its cohort is not where it was ({root or 'not stated'}); give one with --data DIR")
    return samples_of(record, root, getattr(model, "noise", None)) if root else []
