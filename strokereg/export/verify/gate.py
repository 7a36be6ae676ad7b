"""Measure the loss of a lower precision. No torch here.

Segmenters are compared by mean Dice with the true masks of validation cases, translators by the mean change of their
images, and generators by the overlap of their masks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.nifti import read_volume
from strokereg.core.scan.postprocess import Postprocessing, dice
from strokereg.export.inputs import InputForm, Inputs, RunGraph
from strokereg.export.metadata import Bundle, Gate
from strokereg.export.runtime.scans import read_scans
from strokereg.export.runtime.segmenter import Segmenter
from strokereg.export.runtime.session import FunctionSession
from strokereg.registry.errors import InputError, RunFailed
from strokereg.registry.specs import Role

ALLOWED_DICE = 0.005  # of mean Dice
ALLOWED_SHIFT = 0.01  # of an image in [-1, 1], mean over voxels: half a per cent of the range
_MASKS = 64


def measure_gate(
    full: RunGraph, reduced: RunGraph, bundle: Bundle, cases: Sequence[CaseFiles], samples: Iterable[Inputs]
) -> Gate:
    """Compare a graph in lower precision with the full one.

    Args:
        full, reduced: run a graph of the role that `bundle` names.
        cases: validation cases with lesion masks, for segmenters.
        samples: graph inputs, for translators.

    Raises:
        InputError: no cases to measure on.
    """
    if bundle.role == Role.SEGMENTER:
        return _segmenter(full, reduced, bundle, cases)
    if bundle.role == Role.TRANSLATOR:
        return _translator(full, reduced, list(samples))
    return _generator(full, reduced, bundle)


def _segmenter(full: RunGraph, reduced: RunGraph, bundle: Bundle, cases: Sequence[CaseFiles]) -> Gate:
    evaluated = [case for case in cases if case.mask is not None]
    if not evaluated:
        raise InputError(
            f"--precision {bundle.precision}: needs validation cases with lesion masks to measure its loss on; "
            "give a cohort with --data DIR"
        )
    segmenters = [Segmenter(Path(bundle.architecture), FunctionSession(run), bundle) for run in (full, reduced)]
    scores = []
    for case in evaluated:
        scans = read_scans([case.images[channel] for channel in bundle.channels], bundle.channels)
        truth = read_volume(case.mask).data > 0  # type: ignore[arg-type]
        rule = bundle.postprocessing or Postprocessing()
        scores.append([dice(segmenter.find(scans, rule).mask, truth) for segmenter in segmenters])
    before, after = np.mean(scores, axis=0)
    return _gate("mean Dice", before, after, before - after, ALLOWED_DICE, len(evaluated))


def _translator(full: RunGraph, reduced: RunGraph, samples: list[Inputs]) -> Gate:
    if not samples:
        raise InputError("a translator's loss is measured on label maps; give a cohort with --data DIR")
    shifts = [np.abs(full(inputs) - reduced(inputs)).mean() for inputs in samples]
    return _gate("mean shift of images in [-1, 1]", 0.0, np.mean(shifts), np.mean(shifts), ALLOWED_SHIFT, len(samples))


def _generator(full: RunGraph, reduced: RunGraph, bundle: Bundle) -> Gate:
    inputs = InputForm.of(bundle).draw(_MASKS, (), np.random.RandomState(1))
    pairs = zip(full(inputs) >= 0.5, reduced(inputs) >= 0.5, strict=True)
    overlap = np.mean([dice(before, after) for before, after in pairs])
    return _gate("mean Dice with the masks in full precision", 1.0, overlap, 1.0 - overlap, ALLOWED_DICE, _MASKS)


def _gate(measure: str, full: float, reduced: float, loss: float, allowed: float, cases: int) -> Gate:
    return Gate(
        measure=measure, full=float(full), reduced=float(reduced), loss=float(loss), allowed=allowed, cases=cases
    )


def require_gate(gate: Gate, what: str, fix: str) -> None:
    """Refuse a file in a lower precision whose loss is too large.

    Raises:
        RunFailed: with the numbers and the fix.
    """
    if not gate.holds:
        raise RunFailed(f"{what} loses {gate.loss:.4f} ({gate}), allowed is {gate.allowed:g}; {fix}")
