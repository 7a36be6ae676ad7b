"""Export a run folder: its network, its cohort, and the files made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from torch import nn

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.cohort import Cohort
from strokereg.core.cohort.open import read_folder
from strokereg.core.scan.appearance import Ranges
from strokereg.core.storage.files import own_file
from strokereg.core.train.record import Record
from strokereg.core.train.runs import load_model
from strokereg.core.train.validation import Prediction, best_postprocessing, predict_case
from strokereg.export.ensemble import Ensemble, are_folds, check_members, record_of
from strokereg.export.exporter import ExportData, ExportSettings, export_model
from strokereg.export.formats import Format, Precision, check_formats, check_precisions
from strokereg.export.inputs import Inputs
from strokereg.export.samples import CALIBRATION_CASES, CASES, GATE_CASES, cases_of, ranges_of_cases, samples_of
from strokereg.registry.catalogue import find
from strokereg.registry.errors import InputError, command
from strokereg.registry.specs import Role


def export(
    run: Path | str | Sequence[Path | str],
    formats: Iterable[str] = (Format.ONNX,),
    out: Path | str | None = None,
    data: Path | str | None = None,
    precisions: Iterable[str] = (Precision.FP32,),
    force: bool = False,
) -> list[Path]:
    """Turn a finished run into files that run without its training code; all are written, or none.

    Only a lower precision may fail by itself.

    Args:
        run: folder that `train` made; several segmenters of one recipe, with other seeds or folds, become one that
            averages their probabilities.
        formats: out of "onnx", "torchscript", "pt2", "scan" (one ONNX file from raw scan to mask), and the folders
            "triton", "monai" and "web".
        out: folder for the files; by default `export` inside the run folder. Several runs need one.
        data: cohort to measure parity on; by default the one that the run was trained on.
        precisions: out of "fp32", "fp16", "bf16" and "int8"; those below fp32 are written as ONNX, after their loss
            on validation cases was measured.
        force: write a lower precision even if its loss is too large; its metadata says so.

    Returns:
        The files, in the order of `formats`, each with its precisions.

    Raises:
        InputError: no finished run, an unknown format or precision, no cohort to measure on, or an output that cannot
            be written.
        RunFailed: the network cannot be exported, or an exported file is not the network.
        PrecisionFailed: a lower precision loses too much; the other files are written.
    """
    chosen = check_formats(formats)
    reduced = check_precisions(precisions, chosen)
    if not isinstance(run, (str, Path)) and out is None:
        raise InputError("--out: an ensemble belongs to several runs; name a folder for it")
    trained = TrainedRun.read(run, data) if isinstance(run, (str, Path)) else TrainedRun.ensemble(run, data)
    measured = ExportData(
        samples=trained.samples(),
        scans=trained.cases(CASES) if Format.SCAN in chosen or Format.WEB in chosen else [],
        validation=trained.cases(GATE_CASES) if reduced != (Precision.FP32,) else [],
        calibration=trained.calibration() if Precision.INT8 in reduced else [],
        images=trained.images(),
    )
    settings = ExportSettings(chosen, reduced, force, trained.licence)
    folder = Path(out) if out else own_file(trained.folder, "export")
    return export_model(trained.model, trained.record, folder, settings, measured)


@dataclass(frozen=True)
class TrainedRun:
    """A finished run, and the cohort that its files are measured on.

    Attributes:
        model: with the trained weights.
        licence: of the architecture's implementation.
        data: a cohort in place of the run's own.
    """

    folder: Path
    record: Record
    model: nn.Module
    licence: str
    data: Path | None = None

    @classmethod
    def read(cls, folder: Path | str, data: Path | str | None = None) -> TrainedRun:
        """Open a run folder.

        Raises:
            InputError: no run folder, or one whose network was defined in a file that is not given or has changed.
        """
        folder = Path(folder)
        record = Record.read(folder)
        try:
            entry = find(record.architecture, record.role)
        except InputError as error:
            if not record.version.startswith("sha256:"):
                raise
            name = command("strokereg", "--plugin", record.distribution, "export")
            raise InputError(f"{folder}: was trained by the file {record.distribution}; name it: {name} …") from error
        if not entry.installed and entry.version != record.version:
            raise InputError(
                f"{folder}: was trained by {record.distribution} as it was ({record.version}), and it is now "
                f"{entry.version}; bring the old file back, or train again"
            )
        return cls(folder, *load_model(folder), entry.spec.licence, Path(data) if data else None)

    @classmethod
    def ensemble(cls, folders: Sequence[Path | str], data: Path | str | None = None) -> TrainedRun:
        """Open several runs of a segmenter as one; its postprocessing is chosen on their validation cases.

        With folds, each network predicts the validation cases of its own fold, since the others were trained on them.

        Raises:
            InputError: see `read` and `check_members`.
        """
        runs = [cls.read(folder, data) for folder in folders]
        records = [run.record for run in runs]
        check_members(records, [str(folder) for folder in folders])
        whole = replace(runs[0], model=Ensemble([run.model for run in runs]).eval(), record=record_of(records))
        rule = runs[0].record.postprocessing
        flips = rule is not None and rule.flips
        predicted = (one._predictions(flips) for one in (runs if are_folds(records) else [whole]))
        rule, dice = best_postprocessing(chain.from_iterable(predicted), flips)
        return replace(whole, record=whole.record.model_copy(update={"postprocessing": rule, "validation_dice": dice}))

    def _predictions(self, flips: bool) -> Iterator[Prediction]:
        """Of a segmenter on the validation cases of its run."""
        known = [case for case in self.cohort.cases if case.name in self.record.validation]
        for files in known or self.cases(GATE_CASES):
            yield predict_case(self.model, files, self.record.preparation, self.record.problem.size, flips)

    @cached_property
    def cohort(self) -> Cohort:
        """The cohort to measure on.

        Raises:
            InputError: it is not where it was.
        """
        root = self.data or self.record.cohort.get("path")
        if not root or not Path(root).is_dir():
            where = root or "not stated"
            raise InputError(f"{self.folder}: its cohort is not where it was ({where}); give one with --data DIR")
        return read_folder(root, self.record.fold_in(root))

    def samples(self, part: str = "val", count: int = CASES) -> list[Inputs]:
        """Graph inputs of cases of a part of the cohort; none for a generator."""
        if self.record.role == Role.GENERATOR:
            return []
        return samples_of(self.record, self.cohort, getattr(self.model, "noise", None), part, count)

    def cases(self, count: int) -> list[CaseFiles]:
        """The first validation cases, for a segmenter."""
        return cases_of(self.cohort, count=count) if self.record.role == Role.SEGMENTER else []

    def images(self) -> dict[str, Ranges]:
        """What the training scans of a segmenter look like; nothing where another cohort stands in for its own."""
        known = self.record.role == Role.SEGMENTER and self.data is None
        return ranges_of_cases(self.record, self.cohort) if known else {}

    def calibration(self) -> list[Inputs]:
        """Graph inputs on which the ranges of int8 are found."""
        if self.record.role != Role.GENERATOR:
            return self.samples("train", CALIBRATION_CASES)
        width = int(getattr(self.model, "noise", None) or 0)
        return [{"noise": np.random.RandomState(3).standard_normal((64, width)).astype(np.float32)}]
