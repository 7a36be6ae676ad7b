"""Checks of the export: what the spec claims is tested, so the tables of capabilities are true."""

from __future__ import annotations

import numpy as np
import torch

from strokereg.core.scan.grid import Preparation
from strokereg.core.train.record import Record
from strokereg.export.exporter import ExportData, ExportSettings, export_model
from strokereg.export.inputs import Inputs
from strokereg.export.shapes import Size, sizes_of
from strokereg.registry.errors import RunFailed
from strokereg.registry.specs import Role
from strokereg.testing.check import Broken, describe, require, rule
from strokereg.testing.learning import trained
from strokereg.testing.subject import Subject, temporary_folder
from strokereg.testing.toys import LABELS

_MEDIAN = 100.0  # of the brain in the toy scans


@rule(
    "with torchscript=True it exports to TorchScript and passes the parity check; with torchscript=False it does not",
    "write forward without branches on values and without hidden randomness, or correct the spec",
    needs=("eval-repeats", "rows-are-independent"),
)
def torchscript_as_claimed(subject: Subject) -> None:
    _as_claimed(subject, ("torchscript",), subject.spec.torchscript)


@rule(
    "with onnx=True it exports to ONNX and .pt2 (a segmenter also as a scan graph) and passes the parity check; with "
    "onnx=False it does not",
    "write forward with plain tensor operations of dynamic size, or correct the spec",
    needs=("eval-repeats", "rows-are-independent"),
)
def onnx_as_claimed(subject: Subject) -> None:
    scan = ("scan",) if subject.role is Role.SEGMENTER else ()
    _as_claimed(subject, ("onnx", "pt2", *scan) if subject.spec.onnx else ("onnx",), subject.spec.onnx)


def _as_claimed(subject: Subject, forms: tuple[str, ...], claimed: bool) -> None:
    model = trained(subject)
    record = _record(subject, int(getattr(model, "multiple", subject.edge // 2)))
    samples = _samples(subject, record, model)
    with temporary_folder() as folder:
        try:
            export_model(model, record, folder, ExportSettings(forms), ExportData(samples))
        except RunFailed as error:
            if claimed:
                raise Broken(describe(error)) from error
            return
    require(claimed, f"the spec says {forms[0]}=False, but the export passes")


def _record(subject: Subject, multiple: int) -> Record:
    """The record of a run on the toy brains; its sizes go up in steps of `multiple`."""
    edge = subject.edge
    return Record(
        architecture=subject.spec.name,
        role=subject.role,
        problem=subject.problem(),
        preparation=Preparation(size=(edge,) * 3, multiple=(multiple,) * 3),
        labels=LABELS,
        cohort={"name": "toy brains", "simulated": True},
        done=True,
    )


def _samples(subject: Subject, record: Record, model: torch.nn.Module) -> list[Inputs]:
    """The toy brains as inputs of the exported graph; a generator has no such input."""
    batch = subject.batch()
    smallest = sizes_of(record).smallest
    if subject.role is Role.GENERATOR:
        return []
    if subject.role is Role.SEGMENTER:
        raw = (batch.image.numpy() + 1.0) * (0.5 * record.preparation.ceiling * _MEDIAN)
        return [{"image": _padded(raw, smallest), "median": np.full((len(raw), 1), _MEDIAN, dtype=np.float32)}]
    given = subject.inputs(model, batch)
    return [dict(zip(("labels", "noise"), (_padded(value.numpy(), smallest) for value in given), strict=False))]


def _padded(value: np.ndarray, smallest: Size) -> np.ndarray:
    """Pad with zeros to the smallest size of the exported graph; values without spatial axes are unchanged."""
    if value.ndim <= len(smallest):
        return value
    lead = [(0, 0)] * (value.ndim - len(smallest))
    missing = [(0, max(0, least - have)) for least, have in zip(smallest, value.shape[len(lead) :], strict=True)]
    return np.pad(value, lead + missing)
