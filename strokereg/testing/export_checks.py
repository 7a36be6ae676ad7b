"""Checks of the export: what the spec claims is tried, so that the table of capabilities cannot lie."""

from __future__ import annotations

import numpy as np
import torch

from strokereg.core.scan.grid import Preparation
from strokereg.core.train.record import Record
from strokereg.export.exporter import ExportData, ExportSettings, export_model
from strokereg.export.inputs import Inputs
from strokereg.export.shapes import Size, sizes_of
from strokereg.registry.errors import RunFailed
from strokereg.testing.check import Broken, require, rule, told
from strokereg.testing.learning import lively
from strokereg.testing.subject import Subject
from strokereg.testing.toys import LABELS

_MEDIAN = 100.0  # of the toy scans' brains


@rule(
    "torchscript=True exports by tracing and holds parity; torchscript=False really fails",
    "write forward without branches on values and without hidden randomness, or mend the spec",
    needs=("eval-repeats", "rows-are-independent"),
)
def torchscript_as_claimed(subject: Subject) -> None:
    _as_claimed(subject, ("torchscript",), subject.spec.torchscript)


@rule(
    "onnx=True exports to ONNX and .pt2, segmenters for whole scans too, and all hold parity; onnx=False really fails",
    "write forward with plain tensor operations of dynamic size, or mend the spec",
    needs=("eval-repeats", "rows-are-independent"),
)
def onnx_as_claimed(subject: Subject) -> None:
    whole = ("scan",) if subject.role == "segmenter" else ()
    _as_claimed(subject, ("onnx", "pt2", *whole) if subject.spec.onnx else ("onnx",), subject.spec.onnx)


def _as_claimed(subject: Subject, forms: tuple[str, ...], claimed: bool) -> None:
    model = lively(subject)
    record = _record(subject, int(getattr(model, "multiple", subject.edge // 2)))
    samples = _samples(subject, record, model)
    with subject.folder() as folder:
        try:
            export_model(model, record, folder, ExportSettings(forms), ExportData(samples))
        except RunFailed as error:
            if claimed:
                raise Broken(told(error)) from error
            return
    require(claimed, f"the spec says {forms[0]}=False, and the export holds")


def _record(subject: Subject, multiple: int) -> Record:
    """A run on the toy brains; sizes go up in small steps, as what is tried does not depend on them."""
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
    """The toy brains as the exported graph takes them; a generator sees none."""
    batch = subject.batch()
    smallest = sizes_of(record).smallest
    if subject.role == "generator":
        return []
    if subject.role == "segmenter":
        raw = (batch.image.numpy() + 1.0) * (0.5 * record.preparation.ceiling * _MEDIAN)
        return [{"image": _widened(raw, smallest), "median": np.full((len(raw), 1), _MEDIAN, dtype=np.float32)}]
    given = subject.inputs(model, batch)
    return [dict(zip(("labels", "noise"), (_widened(value.numpy(), smallest) for value in given), strict=False))]


def _widened(value: np.ndarray, smallest: Size) -> np.ndarray:
    """With a border of nothing up to the smallest size that a scan can get; what has no place in space stays."""
    if value.ndim <= len(smallest):
        return value
    lead = [(0, 0)] * (value.ndim - len(smallest))
    missing = [(0, max(0, least - have)) for least, have in zip(smallest, value.shape[len(lead) :], strict=True)]
    return np.pad(value, lead + missing)
