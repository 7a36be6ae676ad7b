"""Evaluation on the grid of the scan, with postprocessing chosen on validation cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.evaluate.metrics import score_case
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.train.prepared import PreparedCase, prepare_cases
from strokereg.core.train.validation import (
    THRESHOLDS,
    Validator,
    choose_postprocessing,
    predict,
    predict_case,
    predict_prepared,
)
from strokereg.registry.errors import InputError

PREPARATION = Preparation(spacing=(3.0, 3.0, 3.0))
SIZE = (32, 32)


class Bright(nn.Module):
    """Calls whatever is brighter than a level; its logits are the distance from it."""

    def __init__(self, level: float):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(level))

    def forward(self, image):
        return 10.0 * (image[:, :1] - self.level)


@pytest.fixture
def files(phantom):
    return open_cohort(phantom).cases


def test_slices_in_batches_and_the_whole_volume_agree():
    image = np.random.default_rng(0).uniform(-1, 1, (1, 37, 8, 6)).astype(np.float32)
    model = Bright(0.2).eval()
    flat, deep = predict(model, image, (8, 6)), predict(model, image, (37, 8, 6))
    assert flat.shape == deep.shape == (37, 8, 6)
    assert np.array_equal(flat, deep)
    assert np.array_equal(flat > 0.5, image[0] > 0.2)


def test_a_case_is_judged_on_its_own_grid(files):
    evaluated = predict_case(Bright(-0.3), files[0], PREPARATION, SIZE)
    assert evaluated.probability.shape == evaluated.truth.shape == evaluated.reference.data.shape == (30, 34, 22)
    scores = score_case(evaluated, Postprocessing(threshold=0.5))
    # The phantom's brain lies at -0.5 and its lesion at -0.1, so this level is the truth but for noise.
    assert scores.dice > 0.95
    assert scores.volume_ml == pytest.approx(evaluated.truth.sum() * 0.027)


def test_a_prepared_case_gets_the_same_prediction(files, phantom, tmp_path):
    table = open_cohort(phantom).table
    (prepared,) = prepare_cases(files[:1], PREPARATION, table, tmp_path)
    plain = predict_case(Bright(-0.3), files[0], PREPARATION, SIZE)
    found = predict_prepared(Bright(-0.3), files[0], prepared, SIZE)
    assert np.array_equal(found.probability, plain.probability)
    assert np.array_equal(found.truth, plain.truth)
    assert np.array_equal(found.reference.affine, plain.reference.affine)


def test_the_rule_with_the_best_dice_on_validation_is_chosen(files):
    level = Bright(-0.5)  # in the middle of brain tissue: half of the brain passes a threshold of one half
    postprocessing, dice = choose_postprocessing(level, files, PREPARATION, SIZE)
    evaluated = [predict_case(level, case, PREPARATION, SIZE) for case in files]

    def mean(rule):
        return np.mean([score_case(j, rule).dice for j in evaluated])

    assert dice == pytest.approx(mean(postprocessing))
    assert postprocessing.threshold > 0.5
    assert mean(Postprocessing(threshold=0.5)) < dice
    assert all(
        mean(Postprocessing(threshold=t, smallest_ml=s)) <= dice + 1e-9 for t in THRESHOLDS[::3] for s in (0.0, 0.3)
    )


def test_among_equal_rules_the_first_is_taken(files):
    class Empty(Bright):
        def forward(self, image):
            return super().forward(image) * 0.0 - 20.0

    postprocessing, dice = choose_postprocessing(Empty(0.0), files[:1], PREPARATION, SIZE)
    assert postprocessing == Postprocessing(threshold=THRESHOLDS[0], smallest_ml=0.0)
    assert dice == 0.0


def test_a_case_without_mask_cannot_be_judged(files):
    with pytest.raises(InputError, match="sub-01: has no lesion mask to evaluate against"):
        predict_case(Bright(0.0), replace(files[0], mask=None), PREPARATION, SIZE)


class Particular(Bright):
    """Takes its own size and no other, as a network with position encodings does."""

    def __init__(self, level, size):
        super().__init__(level)
        self.size = size

    def forward(self, image):
        assert tuple(image.shape[2:]) == self.size
        return super().forward(image)


@pytest.mark.parametrize("size", [(16, 16), (16, 32), (8, 16, 16), (18, 32, 16)])
def test_a_brain_that_is_larger_than_any_training_brain_keeps_its_rim(files, size):
    """The phantom's brain needs 32 x 32 x 18; a network trained on less finds its lesion all the same."""
    whole = predict_case(Bright(-0.3), files[0], PREPARATION, (32, 32))
    found = predict_case(Particular(-0.3, size), files[0], PREPARATION, size)
    np.testing.assert_allclose(found.probability, whole.probability, atol=1e-5)
    brain = predict_case(Particular(-0.9, size), files[0], PREPARATION, size)
    lit = brain.reference.data > 50  # every voxel of the brain, the outermost too, is called by a network that sees it
    assert (brain.probability[lit] > 0.5).mean() > 0.99


def test_flips_are_part_of_the_rule(files):
    class Lopsided(Bright):
        def forward(self, image):
            return super().forward(image) + torch.linspace(-3, 3, image.shape[-1])

    model = Lopsided(-0.4)
    for flips in (False, True):
        postprocessing, dice = choose_postprocessing(model, files, PREPARATION, SIZE, flips)
        evaluated = [predict_case(model, case, PREPARATION, SIZE, postprocessing.flips) for case in files]
        assert postprocessing.flips is flips
        assert dice == pytest.approx(np.mean([score_case(j, postprocessing).dice for j in evaluated]))
    plain, mean = (predict_case(model, files[0], PREPARATION, SIZE, flips).probability for flips in (False, True))
    assert not np.allclose(plain, mean)


def test_a_validator_scores_whole_cases_at_the_best_threshold(tmp_path):
    """Two cases: one is found exactly at a threshold of 0.5, in the other half of what is called is right."""

    class Given(nn.Module):
        def forward(self, image):
            return image

    def case(name, probability, truth):
        folder = tmp_path / name
        folder.mkdir()
        np.save(folder / "image.npy", np.log(probability / (1 - probability))[None].astype(np.float32))
        np.save(folder / "labels.npy", np.where(truth, 2, 1).astype(np.uint8))
        return PreparedCase(name, folder, 2)

    truth = np.zeros((3, 16, 32), bool)
    truth[1, 4:8, 4:8] = True
    wide = truth | np.roll(truth, 4, axis=2)
    cases = [case("a", np.where(truth, 0.6, 0.4), truth), case("b", np.where(wide, 0.6, 0.4), truth)]
    validator = Validator(cases, (16, 16))
    assert validator(Given()) == pytest.approx((1 + 2 * 16 / (16 + 32)) / 2)
    assert validator.samples == 2 * 3 * 2  # cases, slices, windows of a slice
