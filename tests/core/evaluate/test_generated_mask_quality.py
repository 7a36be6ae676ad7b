"""Sets of masks against each other: equal sets are at zero, copies are caught, nothing is not a number."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.evaluate.generated_mask_quality import MEASURES, MaskReference


def squares(count, low, high, seed, size=32):
    """Squares with edges from `low` to `high` voxels anywhere."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, size, size), dtype=bool)
    for mask in masks:
        edge = rng.integers(low, high + 1)
        y, x = rng.integers(0, size - edge, 2)
        mask[y : y + edge, x : x + edge] = True
    return masks


@pytest.fixture(scope="module")
def reference():
    return MaskReference(squares(80, 2, 9, 0), squares(200, 2, 9, 1), 4.0)


def test_masks_of_the_same_kind_are_near_and_others_far(reference):
    same, large = reference.score("same", squares(80, 2, 9, 2)), reference.score("large", squares(80, 12, 16, 3))
    assert set(same.distances) == set(MEASURES)
    assert same.distances["volume"] < 0.4
    assert large.distances["volume"] > 1.5
    assert same.location < large.location
    assert same.empty == 0


def test_the_set_itself_is_at_zero(reference):
    again = reference.score("again", squares(80, 2, 9, 0))
    assert max(again.distances.values()) == pytest.approx(0, abs=1e-9)
    assert again.location == pytest.approx(0, abs=1e-9)


def test_copies_of_training_masks_are_caught(reference):
    copied = reference.score("copied", squares(200, 2, 9, 1)[:50])
    assert copied.nearest == (1.0, 1.0)
    assert reference.score("fresh", squares(50, 2, 9, 5)).nearest[0] < 0.95
    one, other = np.zeros((2, 1, 32, 32), dtype=bool)
    one[0, :2, :4] = other[0, :2, 2:6] = True
    assert MaskReference(one, one, 1.0).nearest(other) == pytest.approx([0.5])


def test_empty_masks_are_counted_and_left_out(reference):
    masks = squares(40, 2, 9, 4)
    masks[:10] = False
    assert reference.score("some", masks).empty == 0.25
    none = reference.score("none", np.zeros_like(masks))
    assert none.empty == 1.0
    assert set(none.distances.values()) == {None}
    assert (none.location, none.nearest) == (None, None)
