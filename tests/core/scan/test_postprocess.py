"""The step from probability to mask."""

import numpy as np
import pytest

from strokereg.core.scan.postprocess import Postprocessing, dice, dice_of_rules, lesions, postprocess


@pytest.fixture
def probability() -> np.ndarray:
    """Three lesions: 1 voxel, 4 voxels, and 2 that touch only by a corner."""
    field = np.full((12, 10, 8), 0.2, dtype=np.float32)
    field[1, 1, 1] = 0.9
    field[4:8, 5, 3] = 0.6
    field[10, 8, 6] = field[11, 9, 7] = 0.7
    return field


def test_threshold_itself_counts_as_lesion(probability):
    assert postprocess(probability, Postprocessing(threshold=np.float32(0.6)), 0.008).sum() == 7
    assert postprocess(probability, Postprocessing(threshold=0.65), 0.008).sum() == 3


def test_components_join_over_corners(probability):
    numbered, count = lesions(probability >= 0.5)
    assert count == 3
    assert numbered[10, 8, 6] == numbered[11, 9, 7] > 0


@pytest.mark.parametrize(("smallest_ml", "voxels"), [(0.0, 7), (0.016, 6), (0.017, 4), (0.032, 4), (0.033, 0)])
def test_components_below_the_smallest_volume_are_dropped(probability, smallest_ml, voxels):
    mask = postprocess(probability, Postprocessing(threshold=0.5, smallest_ml=smallest_ml), voxel_ml=0.008)
    assert mask.dtype == bool
    assert mask.sum() == voxels


def test_empty_mask_stays_empty():
    assert not postprocess(np.zeros((4, 4, 4), np.float32), Postprocessing(smallest_ml=0.1), 0.008).any()


def test_all_rules_at_once_are_what_each_is_alone(probability):
    rng = np.random.default_rng(0)
    noisy = np.clip(probability + rng.uniform(-0.3, 0.3, probability.shape), 0, 1)
    thresholds, smallest = (0.1, 0.4, 0.8, 1.1), (0.0, 0.016, 0.1, 9.0)
    for truth in (probability > 0.5, np.zeros(probability.shape, bool)):
        found = dice_of_rules(noisy, truth, thresholds, smallest, 0.008)
        alone = [
            [dice(postprocess(noisy, Postprocessing(threshold=t, smallest_ml=s), 0.008), truth) for s in smallest]
            for t in thresholds
        ]
        np.testing.assert_array_equal(found, alone)
