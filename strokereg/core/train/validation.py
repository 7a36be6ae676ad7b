"""Predictions of a segmenter, its evaluation during training, and the choice of its postprocessing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.roles import device_of
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.nifti import Volume, read_volume
from strokereg.core.scan.postprocess import Postprocessing, dice_of_rules, postprocess
from strokereg.core.scan.window import slide
from strokereg.core.train.prepared import PreparedCase, prepare_image
from strokereg.registry.errors import InputError, RunFailed

THRESHOLDS = tuple(i / 20 for i in range(4, 19))
SMALLEST_ML = (0.0, 0.03, 0.1, 0.3)


@torch.inference_mode()
def predict(model: nn.Module, image: np.ndarray, size: tuple[int, ...], flips: bool = False) -> np.ndarray:
    """Lesion probability of a prepared image.

    Args:
        image: float32 [C, Z, Y, X] in [-1, 1].
        size: size that the network was trained on, (Y, X) for axial slices or (Z, Y, X) for volumes; a larger image
            is processed in windows of this size (see `core.scan.window`).
        flips: average over the image and its left-right mirror image.

    Returns:
        float32 [Z, Y, X] in [0, 1].

    Raises:
        RunFailed: the network gives NaN, which would otherwise count as no lesion.
    """
    device = device_of(model)

    def run(windows: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(windows).to(device)).float().sigmoid().cpu().numpy()

    probability = slide(run, image, size, flips)
    if not np.isfinite(probability).all():
        raise RunFailed("the segmenter gave NaN or infinite values; lower its learning rate, or train in fp32")
    return probability


def predict_prepared(
    model: nn.Module, files: CaseFiles, case: PreparedCase, size: tuple[int, ...], flips: bool = False
) -> Prediction:
    """As `predict_case`, for a case that is prepared already; the reference holds its lesion mask, not its image.

    Raises:
        InputError: an unreadable lesion mask.
    """
    assert files.mask is not None
    mask = read_volume(files.mask)
    probability, affine = case.give_back(predict(model, np.array(case.image), size, flips))
    return Prediction(replace(mask, affine=affine), mask.data > 0, probability)


def predict_case(
    model: nn.Module, files: CaseFiles, preparation: Preparation, size: tuple[int, ...], flips: bool = False
) -> Prediction:
    """Read a case and predict its lesion probability on the grid of its scan; see `predict` for `size` and `flips`.

    Raises:
        InputError: unreadable files, or no lesion mask to evaluate against.
    """
    if files.mask is None:
        raise InputError(f"{files.name}: has no lesion mask to evaluate against; add one or leave the case out")
    case = read_case(files, preparation.channels)
    image, frame = prepare_image(case, preparation)
    assert case.mask is not None
    return Prediction(case.reference, case.mask, frame.back(predict(model, image, size, flips)))


class Validator:
    """Evaluates a segmenter on validation cases while it is being trained.

    It works on the network grid and without removing small lesions, which is many times faster than the final
    evaluation on the grid of the scan.

    Args:
        cases: whole validation cases.
        size: see `predict`.
        flips: average over each image and its left-right mirror image.
    """

    def __init__(self, cases: Sequence[PreparedCase], size: tuple[int, ...], flips: bool = False):
        self.cases, self.size, self.flips = cases, size, flips

    @property
    def samples(self) -> int:
        """Number of samples of the network's size that one evaluation predicts, for its cost."""
        return sum(math.prod(self._windows(case)) for case in self.cases) * (2 if self.flips else 1)

    def _windows(self, case: PreparedCase) -> list[int]:
        shape = case.labels.shape
        size = (1,) * (len(shape) - len(self.size)) + tuple(self.size)
        return [-(-edge // window) for edge, window in zip(shape, size, strict=True)]

    def __call__(self, model: nn.Module) -> float:
        """Mean Dice (0 … 1) over the cases at the best of `THRESHOLDS`; two empty masks give 1."""
        scores = []
        for case in self.cases:
            probability, truth = predict(model, np.array(case.image), self.size, self.flips), case.mask
            both = [(int((probability >= t).sum()), int((probability[truth] >= t).sum())) for t in THRESHOLDS]
            real = int(truth.sum())
            scores.append([2.0 * hits / (found + real) if found + real else 1.0 for found, hits in both])
        return float(np.mean(scores, axis=0).max())


@dataclass(frozen=True)
class Prediction:
    """A case with its prediction, on the grid of the scan [X, Y, Z]."""

    reference: Volume
    truth: np.ndarray
    probability: np.ndarray

    def mask(self, postprocessing: Postprocessing) -> np.ndarray:
        """The predicted lesion, bool [X, Y, Z]."""
        return postprocess(self.probability, postprocessing, self.reference.voxel_ml)


def choose_postprocessing(
    model: nn.Module,
    validation: Iterable[CaseFiles],
    preparation: Preparation,
    size: tuple[int, ...],
    flips: bool = False,
) -> tuple[Postprocessing, float]:
    """Choose the threshold and the smallest lesion with the best mean Dice on validation cases.

    `flips` becomes part of the result, because a threshold is valid only for the kind of probabilities that it was
    chosen on. Ties go to the lower threshold, then to the smaller lesion.

    Returns:
        The postprocessing and its mean Dice.
    """
    # One case at a time, so only one scan is in memory.
    return best_postprocessing((predict_case(model, files, preparation, size, flips) for files in validation), flips)


def best_postprocessing(predictions: Iterable[Prediction], flips: bool = False) -> tuple[Postprocessing, float]:
    """As `choose_postprocessing`, for predictions that exist already."""
    found = np.mean(
        [dice_of_rules(p.probability, p.truth, THRESHOLDS, SMALLEST_ML, p.reference.voxel_ml) for p in predictions],
        axis=0,
    )
    # Rounded, so that rules which differ in the last bit only count as ties.
    row, column = np.unravel_index(np.argmax(np.round(found, 9)), found.shape)
    return Postprocessing(threshold=THRESHOLDS[row], smallest_ml=SMALLEST_ML[column], flips=flips), float(
        found[row, column]
    )
