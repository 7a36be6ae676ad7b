import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from strokereg.core.simulate.anatomy import LESION, load_anatomy
from strokereg.core.simulate.pose import draw_pose, tissue_shares


@pytest.fixture(scope="module")
def pose(grid):
    return draw_pose(np.random.default_rng(1), load_anatomy(None), **grid)


def test_the_affine_is_oblique_las_of_the_right_spacing(pose, grid):
    assert nib.aff2axcodes(pose.affine) == ("L", "A", "S")
    edges = np.sqrt((pose.affine[:3, :3] ** 2).sum(axis=0))
    assert edges == pytest.approx([grid["spacing"]] * 3)
    assert np.abs(pose.affine[1, 2]) > 0.01


def test_shares_add_up_and_the_brain_is_one_piece(pose):
    brain, shares = tissue_shares(load_anatomy(None), pose)
    assert shares.shape == (LESION, brain.sum())
    assert shares.sum(axis=0) == pytest.approx(np.ones(brain.sum()))
    assert ndimage.label(brain)[1] == 1
    # Partial volume: a good part of the voxels hold more than one tissue.
    assert 0.2 < (shares.max(axis=0) < 1).mean() < 0.98


def test_heads_have_adult_volumes(grid):
    volumes = []
    for seed in range(6):
        brain, _ = tissue_shares(load_anatomy(None), draw_pose(np.random.default_rng(seed), load_anatomy(None), **grid))
        volumes.append(brain.sum() * grid["spacing"] ** 3 / 1000)
    assert min(volumes) > 1000
    assert max(volumes) < 1800
    assert len(set(volumes)) == 6
