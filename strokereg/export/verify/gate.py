"""What a lower precision costs, in the measure that counts for the role. No torch here.

Segmenters are evaluated by mean Dice against the true masks of validation cases, translators by how far their images
move, generators by how well their masks still overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.nifti import read_volume
from strokereg.core.scan.postprocess import Postprocessing, dice
from strokereg.export.metadata import Bundle, Gate
from strokereg.export.runtime.segmenter import Segmenter, read_scans
from strokereg.export.verify.probe import Inputs, draw_inputs
from strokereg.registry.errors import InputError

ALLOWED_DICE = 0.005  # of mean Dice
ALLOWED_SHIFT = 0.01  # of an image in [-1, 1], mean over voxels: half a per cent of the range
_MASKS = 64

Run = Callable[[Inputs], np.ndarray]


def measure_gate(
    full: Run, reduced: Run, bundle: Bundle, cases: Sequence[CaseFiles], samples: Iterable[Inputs]
) -> Gate:
    """Compare a graph in lower precision with the full one.

    Args:
        full, reduced: run a graph of the role that `bundle` names.
        cases: validation cases with lesion masks, for segmenters.
        samples: graph inputs, for translators.

    Raises:
        InputError: no cases to measure on.
    """
    if bundle.role == "segmenter":
        return _segmenter(full, reduced, bundle, cases)
    if bundle.role == "translator":
        return _translator(full, reduced, list(samples))
    return _generator(full, reduced, bundle)


def _segmenter(full: Run, reduced: Run, bundle: Bundle, cases: Sequence[CaseFiles]) -> Gate:
    evaluated = [case for case in cases if case.mask is not None]
    if not evaluated:
        raise InputError(
            f"--precision {bundle.precision}: needs validation cases with lesion masks to measure its loss on; "
            "give a cohort with --data DIR"
        )
    segmenters = [Segmenter(Path(bundle.architecture), Engine(run), bundle) for run in (full, reduced)]
    scores = []
    for case in evaluated:
        scans = read_scans([case.images[channel] for channel in bundle.channels])
        truth = read_volume(case.mask).data > 0  # type: ignore[arg-type]
        rule = bundle.postprocessing or Postprocessing()
        scores.append([dice(segmenter.find(scans, rule).mask, truth) for segmenter in segmenters])
    before, after = np.mean(scores, axis=0)
    return _gate("mean Dice", before, after, before - after, ALLOWED_DICE, len(evaluated))


def _translator(full: Run, reduced: Run, samples: list[Inputs]) -> Gate:
    if not samples:
        raise InputError("a translator's loss is measured on label maps; give a cohort with --data DIR")
    shifts = [np.abs(full(inputs) - reduced(inputs)).mean() for inputs in samples]
    return _gate("mean shift of images in [-1, 1]", 0.0, np.mean(shifts), np.mean(shifts), ALLOWED_SHIFT, len(samples))


def _generator(full: Run, reduced: Run, bundle: Bundle) -> Gate:
    inputs = draw_inputs("generator", 1, 0, bundle.noise, _MASKS, (), np.random.RandomState(1))
    pairs = zip(full(inputs) >= 0.5, reduced(inputs) >= 0.5, strict=True)
    overlap = np.mean([dice(before, after) for before, after in pairs])
    return _gate("mean Dice with the masks in full precision", 1.0, overlap, 1.0 - overlap, ALLOWED_DICE, _MASKS)


def _gate(measure: str, full: float, reduced: float, loss: float, allowed: float, cases: int) -> Gate:
    return Gate(
        measure=measure, full=float(full), reduced=float(reduced), loss=float(loss), allowed=allowed, cases=cases
    )


class Engine:
    """A function that runs a graph, as a session."""

    provider = ""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.inputs: dict[str, tuple[int | None, ...]] = {}
        self.outputs: list[str] = []
