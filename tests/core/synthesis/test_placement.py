"""Where lesions go: the prior from training lesions, and what counts as fitting."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.scan.box import Box
from strokereg.core.synthesis.placement import Prior, learn_prior, place_mask, remove_lesion, shift
from strokereg.core.train.prepared import write_prepared


def square(low, high, size=12):
    mask = np.zeros((size, size), dtype=bool)
    mask[low:high, low:high] = True
    return mask


def case_with(tmp_path, name, place, shape=(10, 20, 20), start=2):
    labels = np.zeros(shape, np.uint8)
    labels[1:-1, start:-start, start:-start] = 1
    labels[tuple(slice(p, p + 1) for p in place)] = 2
    return write_prepared(tmp_path / name, name, np.zeros((1, *shape)), labels, 2)


@pytest.mark.parametrize("dims", [2, 3])
def test_places_are_shares_of_the_brain_whatever_its_frame(tmp_path, dims):
    small = case_with(tmp_path, "small", (3, 6, 10), (10, 20, 20), 2)
    large = case_with(tmp_path, "large", (3, 14, 22), (10, 44, 44), 6)
    expected = [(3 - 1) / 7, (6 - 2) / 15, (10 - 2) / 15]
    assert learn_prior([small], dims).centres[0] == pytest.approx(expected)
    assert learn_prior([large], dims).centres[0] == pytest.approx([2 / 7, 8 / 31, 16 / 31])


def test_a_slice_draws_from_lesions_at_its_height():
    low, high = [0.2, 0.1, 0.5], [0.8, 0.9, 0.5]
    prior, box = Prior(np.array([low, high]), 2), Box(np.zeros(3), np.array([20.0, 100.0, 100.0]))
    rng = np.random.default_rng(0)
    drawn = np.array([prior.draw(rng, box, 16.0) for _ in range(50)])
    assert drawn[:, 1].mean() == pytest.approx(90, abs=2)
    below_all = np.array([prior.draw(rng, box, 0.0) for _ in range(50)])
    assert below_all[:, 1].mean() == pytest.approx(10, abs=2)  # the nearest there is


def test_no_lesion_no_prior(tmp_path):
    labels = np.ones((4, 8, 8), np.uint8)
    case = write_prepared(tmp_path / "well", "well", np.zeros((1, 4, 8, 8)), labels, 2)
    assert learn_prior([case], 3).draw(np.random.default_rng(0), Box.around(labels)) is None


def test_a_mask_comes_to_its_place_and_nothing_wraps_around():
    room = np.ones((12, 12), dtype=bool)
    moved = place_mask(square(1, 4), room, np.array([8.0, 9.0]))
    assert np.argwhere(moved).mean(axis=0) == pytest.approx([8, 9])
    assert not shift(square(1, 4), np.array([-12, 0])).any()
    corner = shift(square(0, 4), np.array([-2, 10]))
    assert np.count_nonzero(corner) == 4
    assert corner[:2, 10:].all()


@pytest.mark.parametrize(("at", "fits"), [((6, 6), True), ((0, 6), True), ((0, 0), False), ((40, 6), False)])
def test_half_of_a_mask_must_stay(at, fits):
    inside = place_mask(square(4, 8), np.ones((12, 12), dtype=bool), np.array(at, dtype=float))
    assert (inside is not None) == fits


def test_three_voxels_are_the_least():
    room = np.ones((12, 12), dtype=bool)
    assert place_mask(square(4, 5), room, None) is None
    room[:] = False
    room[4, 4:6] = True
    assert place_mask(square(4, 6), room, None) is None  # half of it, but two voxels


def test_a_removed_lesion_becomes_the_nearest_tissue():
    labels = np.zeros((5, 16, 16), np.uint8)
    labels[1:4, 2:14, 2:14] = 2
    labels[1:4, 6:10, 6:10] = 1
    labels[2, 10:13, 10:13] = 3
    filled = remove_lesion(labels, 3)
    assert (filled != 3).all()
    assert (filled[2, 10:13, 10:13] == 2).all()
    assert np.array_equal(filled[labels != 3], labels[labels != 3])
