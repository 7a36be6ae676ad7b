import numpy as np
import pytest
from scipy import ndimage

from strokereg.core.simulate.anatomy import BONE, SKIN, SOFT, load_anatomy
from strokereg.core.simulate.head import Head
from strokereg.core.simulate.pose import draw_pose


@pytest.fixture(scope="module")
def posed(grid):
    anatomy = load_anatomy(None)
    pose = draw_pose(np.random.default_rng(0), anatomy, **grid)
    return anatomy, pose, Head.at(anatomy, pose, grid["spacing"])


def test_a_ball_is_one_at_its_centre_and_nothing_far_away(posed):
    head = posed[2]
    weight = head.ball(np.array((20.0, -20.0, 20.0)), 10.0)
    apart = np.sqrt(((head.inside - np.array((20.0, -20.0, 20.0), dtype=np.float32)[:, None]) ** 2).sum(axis=0))
    assert weight[apart < 3].min() > 0.9
    assert weight[apart > 22].max() < 1e-6


def test_a_map_of_the_brain_only_gets_a_shell_of_skull_and_scalp(posed, grid):
    anatomy, pose, head = posed
    outer = head.outer(anatomy, pose)
    assert not outer[head.brain].any()
    assert set(np.unique(outer)) == {0, BONE, SOFT, SKIN}
    apart = ndimage.distance_transform_edt(~head.brain) * grid["spacing"]
    assert apart[outer == BONE].max() < apart[outer == SKIN].min()


def test_a_map_of_the_head_gives_its_own_skull(tmp_path, write_head, grid):
    path = tmp_path / "head.nii.gz"
    write_head(path)
    anatomy = load_anatomy(path)
    pose = draw_pose(np.random.default_rng(0), anatomy, **grid)
    head = Head.at(anatomy, pose, grid["spacing"])
    outer = head.outer(anatomy, pose)
    assert set(np.unique(outer)) == {0, BONE}
    touching = ndimage.binary_dilation(head.brain, iterations=2) & ~head.brain
    assert (outer[touching] == BONE).mean() > 0.4
