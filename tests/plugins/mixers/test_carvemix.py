"""What is special about `carvemix`: how wide it carves, and that it carries voxels as they are."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.plugins.mixers.carvemix import CarveMix, signed_distance
from strokereg.registry.problem import Problem

LESION = 4


@pytest.fixture
def carve():
    return CarveMix(Problem(dims=3, labels=5, size=(16,) * 3), CarveMix.Options())


def test_signed_distance_is_negative_inside():
    mask = np.zeros((7, 7, 7), bool)
    mask[2:5, 2:5, 2:5] = True
    distance = signed_distance(mask)
    assert distance[3, 3, 3] == -2
    assert distance[2, 3, 3] == -1
    assert distance[1, 3, 3] == 1
    assert ((distance < 0) == mask).all()


def test_levels_are_half_inside_to_half_the_depth_and_half_outside_to_the_depth(carve):
    levels = np.array([carve.level(4.0, np.random.default_rng(seed)) for seed in range(2000)])
    assert levels.min() >= -2
    assert levels.max() <= 4
    assert 0.45 < (levels < 0).mean() < 0.55
    assert abs(levels[levels < 0].mean() + 1) < 0.06
    assert abs(levels[levels > 0].mean() - 2) < 0.12


def test_voxels_arrive_as_they_were_at_the_same_place_of_a_moved_brain(carve, head):
    donor = head(lesion=((8, 12, 14), 3.0), seed=1)
    host = head(lesion=None)
    moved = type(host)(
        np.roll(host.image, (0, 2, 1), (1, 2, 3)), np.roll(host.labels, (0, 2, 1), (0, 1, 2)), host.parenchyma
    )
    out = carve.mix(moved, donor, np.random.default_rng(3))
    new = np.argwhere(out.labels == LESION)
    back = new - (0, 2, 1)
    assert (donor.labels[tuple(back.T)] == LESION).all()
    assert np.array_equal(out.image[:, *new.T], donor.image[:, *back.T])


def test_labels_follow_and_a_lesion_under_the_piece_gives_way(carve, head):
    host = head(lesion=((8, 12, 14), 5.0))
    donor = head(lesion=((8, 12, 14), 2.0), seed=1)
    seeds = [seed for seed in range(20) if carve.level(2.0, np.random.default_rng(seed)) > 1.5]
    out = carve.mix(host, donor, np.random.default_rng(seeds[0]))
    from_middle = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.indices((16, 24, 20)), (8, 12, 14), strict=True)))
    ring = (from_middle > 2) & (from_middle <= 3)
    ring &= (donor.labels == 2) & (host.labels == LESION)
    assert ring.any()
    assert (out.labels[ring] == 2).all()  # the donor's sound margin came along
    far = (host.labels == LESION) & (from_middle > 4.5)
    assert far.any()
    assert (out.labels[far] == LESION).all()  # what is not covered stays: it is real
