import numpy as np
import pytest

from strokereg.core.simulate.anatomy import VENTRICLE, WHITE, load_anatomy
from strokereg.core.simulate.findings import draw_findings
from strokereg.core.simulate.head import Head
from strokereg.core.simulate.pose import draw_pose


@pytest.fixture(scope="module")
def head(grid):
    anatomy = load_anatomy(None)
    return Head.at(anatomy, draw_pose(np.random.default_rng(0), anatomy, **grid), grid["spacing"])


@pytest.fixture(scope="module")
def lesion(head):
    mask = np.zeros(head.brain.shape, dtype=bool)
    mask[10:20, 20:30, 15:22] = True
    return mask & head.brain


@pytest.fixture(scope="module")
def drawn(head, lesion):
    return [draw_findings(np.random.default_rng(seed), head, lesion) for seed in range(25)]


def test_findings_leave_the_acute_lesion_alone(drawn, head, lesion):
    inside = lesion[head.brain]
    for found in drawn:
        assert (found.adc[inside] == 1.0).all()
        assert (found.t2[inside] == 1.0).all()
        assert not found.fluid[inside].any()


def test_white_matter_lesions_are_there_in_most_brains_and_lie_around_the_ventricles(drawn, head):
    white = head.dseg[head.brain] == WHITE
    near = white & (head.from_ventricles() < 6.0)
    far = white & (head.from_ventricles() > 25.0)
    aged = [found for found in drawn if found.t2[near].mean() > 1.03]
    assert 8 <= len(aged) <= 22
    assert all(found.t2[near].mean() > found.t2[far].mean() for found in aged)
    assert all(found.adc[near].mean() > 1.0 for found in aged)


def test_scars_are_fluid_and_in_some_brains_only(drawn):
    scars = [float(found.fluid.max()) for found in drawn]
    assert 5 <= sum(scar > 0.4 for scar in scars) <= 22
    assert max(scars) < 1.0


def test_the_plexus_lies_in_the_ventricles_and_is_nearer_to_tissue_than_fluid(drawn, head):
    ventricle = head.dseg[head.brain] == VENTRICLE
    assert np.mean([found.plexus[ventricle].max() > 0.3 for found in drawn]) > 0.6
    assert all(0.9 <= found.plexus_adc <= 2.2 for found in drawn)
