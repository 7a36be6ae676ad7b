"""From a run to files, and from files to masks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from strokereg.registry.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from strokereg.core.cohort.case import CaseFiles
    from strokereg.core.cohort.cohort import Cohort
    from strokereg.core.train.record import Record
    from strokereg.export.bundle import Lower
    from strokereg.export.metadata import Bundle, Gate, Parity


def export(
    run: Path | str,
    formats: Iterable[str] = ("onnx",),
    out: Path | str | None = None,
    data: Path | str | None = None,
    precisions: Iterable[str] = ("fp32",),
    force: bool = False,
) -> list[Path]:
    """Turn a finished run into files that can be deployed; all are written, or none.

    Args:
        run: folder that `train` made.
        formats: out of "onnx", "torchscript", "pt2", "scan" (a whole scan's way in one ONNX file), and the folders
            "triton", "monai" and "web".
        out: folder for the files; by default `export` inside the run folder.
        data: cohort on whose cases parity is measured; by default the one that the run was trained on.
        precisions: out of "fp32", "fp16", "bf16" and "int8"; those below fp32 are written as ONNX, after their loss
            was measured on validation cases.
        force: write a lower precision whose loss is not allowed all the same; its metadata say so.

    Returns:
        The files, in the order of `formats`, each with its precisions.

    Raises:
        InputError: no finished run, an unknown format or precision, no cohort to measure on, or no way to write.
        RunFailed: the network cannot be exported, an exported file is not the network, or a lower precision costs
            too much.
    """
    from strokereg.core.storage.files import own_file
    from strokereg.export.formats import check_formats, check_precisions

    formats = check_formats(formats)
    precisions = check_precisions(precisions, formats)
    record, model, licence = trained(Path(run))

    from strokereg.export.bundle import export_model

    return export_model(
        model,
        record,
        _samples(record, model, run, data),
        Path(out) if out else own_file(Path(run), "export"),
        formats,
        licence,
        precisions,
        _lower(record, model, run, data, force, "int8" in precisions) if precisions != ("fp32",) else None,
        _cases(record, run, data) if "scan" in formats else (),
    )


def check_export(
    path: Path | str, run: Path | str | None = None, data: Path | str | None = None
) -> tuple[Parity, Gate | None, str]:
    """Measure an exported file again.

    Args:
        run: that it came from; by default the one in whose `export` folder the file lies. Where there is none, the
            file is compared with the network's answers that it carries, on the best engine of this machine; that
            needs no torch for ONNX.
        data: cohort to measure on; by default the run's own.

    Returns:
        Parity, for a lower precision its loss, and in words what was measured against.

    Raises:
        InputError: see `export`; also a file that cannot be opened or belongs to another architecture.
        RunFailed: parity does not hold, or the loss is too large (with the numbers).
    """
    from strokereg.export.formats import format_of, model_in

    run = run or _home(Path(path))
    path = model_in(path)
    kind = format_of(path)
    if run is None:
        return _check_alone(path, kind)
    record, model, _ = trained(Path(run))

    from strokereg.export.check import check_file, check_scan_graph, read_file

    bundle = read_file(path)
    if bundle.is_scan_graph:
        return check_scan_graph(path, model, record, _cases(record, run, data)), None, f"its run {run}"
    samples, lower = _samples(record, model, run, data), None
    if bundle.precision != "fp32":
        lower = _lower(record, model, run, data, force=False, calibrate=False)
    return *check_file(path, model, record, samples, lower), f"its run {run}"


def read_bundle(path: Path | str) -> Bundle:
    """The metadata of an exported file or folder of any format; needs no torch but for TorchScript and MONAI.

    Raises:
        InputError: a file that cannot be opened or holds no metadata.
    """
    from strokereg.export.formats import format_of, model_in

    path = model_in(path)
    if format_of(path) in ("onnx", "scan"):
        from strokereg.export.metadata import KEY
        from strokereg.export.metadata import read_bundle as parse
        from strokereg.export.runtime.onnx_header import read_header

        return parse(read_header(Path(path)).metadata.get(KEY), path)
    from strokereg.export.check import read_file

    return read_file(Path(path))


def _home(path: Path) -> Path | None:
    """The run in whose `export` folder a file lies."""
    from strokereg.core.train.record import RECORD

    run = path.resolve().parent.parent
    return run if (run / RECORD).is_file() else None


def _check_alone(path: Path, kind: str) -> tuple[Parity, None, str]:
    from strokereg.export.verify.probe import check_answers

    if kind in ("onnx", "scan"):
        from strokereg.export.runtime.session import open_file

        session, bundle = open_file(path)
        run, engine = session.run, session.provider
    else:
        from strokereg.export.check import opened, read_file

        bundle = read_file(path)
        run, engine = opened(path, bundle), "torch on CPU"
    return check_answers(run, bundle, path), None, f"its network's answers in the file, on {engine}"


def trained(run: Path) -> tuple[Record, nn.Module, str]:
    """Record, trained network and licence of a finished run.

    Raises:
        InputError: also where the network's code is a file of its own, which is not given or has changed.
    """
    from strokereg.core.train.record import Record
    from strokereg.core.train.runs import load_model
    from strokereg.registry.catalogue import find

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
    return *load_model(run), entry.spec.licence


def _samples(record: Record, model: nn.Module, run: Path | str, data: Path | str | None) -> list:
    from strokereg.export.samples import samples_of

    if record.role == "generator":
        return []
    return samples_of(record, _cohort(record, run, data), getattr(model, "noise", None))


def _cases(record: Record, run: Path | str, data: Path | str | None) -> list[CaseFiles]:
    """The cases that a graph of a whole scan is measured on: as many as parity is."""
    from strokereg.export.samples import CASES, cases_of

    return cases_of(_cohort(record, run, data), count=CASES) if record.role == "segmenter" else []


def _lower(
    record: Record, model: nn.Module, run: Path | str, data: Path | str | None, force: bool, calibrate: bool
) -> Lower:
    """The cases that lower precisions are calibrated and measured on."""
    from strokereg.export.bundle import Lower
    from strokereg.export.samples import CALIBRATION_CASES, cases_of, samples_of

    width = getattr(model, "noise", None)
    if record.role == "generator":
        return Lower(force=force, calibration=[_draws(int(width or 0))] if calibrate else [])
    cohort = _cohort(record, run, data)
    calibration = samples_of(record, cohort, width, "train", CALIBRATION_CASES) if calibrate else []
    return Lower(calibration, cases_of(cohort) if record.role == "segmenter" else [], force)


def _draws(width: int) -> dict:
    import numpy as np

    return {"noise": np.random.RandomState(3).standard_normal((64, width)).astype(np.float32)}


def _cohort(record: Record, run: Path | str, data: Path | str | None) -> Cohort:
    from strokereg.core.cohort.open import read_folder

    root = data or record.cohort.get("path")
    if not root or not Path(root).is_dir():
        raise InputError(f"{run}: its cohort is not where it was ({root or 'not stated'}); give one with --data DIR")
    return read_folder(root, record.fold_in(root))
