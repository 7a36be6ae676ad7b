import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from strokereg.core.simulate.anatomy import PARENCHYMA, load_anatomy
from strokereg.core.simulate.lesions import draw_volume, grow_lesion, load_lesion, place_lesion
from strokereg.core.simulate.pose import draw_pose, tissue_shares
from strokereg.registry.errors import InputError

VOXEL_ML = 4.0**3 / 1000


@pytest.fixture(scope="module")
def head(grid):
    anatomy = load_anatomy(None)
    pose = draw_pose(np.random.default_rng(2), anatomy, **grid)
    brain, shares = tissue_shares(anatomy, pose)
    parenchyma = np.zeros(brain.shape, dtype=bool)
    parenchyma[brain] = np.isin(1 + shares[1:].argmax(axis=0), PARENCHYMA)
    return anatomy.to_mni(pose.points), parenchyma


@pytest.mark.parametrize("volume", [0.5, 8.0, 90.0])
def test_grown_lesions_have_their_volume_inside_parenchyma(head, volume):
    mni, parenchyma = head
    for seed in range(4):
        mask = grow_lesion(np.random.default_rng(seed), volume, mni, parenchyma, VOXEL_ML)
        assert not (mask & ~parenchyma).any()
        assert abs(mask.sum() * VOXEL_ML - volume) < 0.1 * volume + 8 * VOXEL_ML
        assert 1 <= ndimage.label(mask, np.ones((3, 3, 3)))[1] < 60


def test_drawn_volumes_spread_like_strokes():
    rng = np.random.default_rng(0)
    drawn = np.array([draw_volume(rng) for _ in range(2000)])
    low, middle, high = np.percentile(drawn, (5, 50, 95))
    assert 0.1 <= low < 0.8
    assert 7 < middle < 12
    assert 120 < high <= 250


def test_a_placed_lesion_lies_where_it_lay_in_mni(head, tmp_path, write_lesion):
    mni, parenchyma = head
    path = tmp_path / "lesion.nii.gz"
    write_lesion(path, (32.0, -20.0, 30.0), 14.0)
    mask = place_lesion(np.random.default_rng(0), load_lesion(path), mni, parenchyma)
    assert not (mask & ~parenchyma).any()
    centre = mni[:, mask].mean(axis=1)
    assert abs(abs(centre[0]) - 32) < 9  # on either side
    assert np.abs(centre[1:] - (-20, 30)).max() < 9


def test_the_smallest_lesion_survives(head, tmp_path, write_lesion):
    mni, parenchyma = head
    path = tmp_path / "dot.nii.gz"
    write_lesion(path, (26.0, -10.0, 36.0), 1.5)
    lesion = load_lesion(path)
    assert lesion.volume_ml < 0.1
    assert all(place_lesion(np.random.default_rng(s), lesion, mni, parenchyma).sum() >= 2 for s in range(3))


@pytest.mark.parametrize(
    ("write", "fault"),
    [
        (lambda data, affine: (data * 0, affine), "is empty"),
        (
            lambda data, affine: (data * np.arange(data.shape[0], dtype=np.int16)[:, None, None], affine),
            "more than two values",
        ),
        (lambda data, affine: (data, affine + np.array([[0, 0, 0, 300.0], *[[0] * 4] * 3])), "outside the MNI brain"),
    ],
)
def test_unusable_masks_are_refused(tmp_path, write_lesion, write, fault):
    path = tmp_path / "lesion.nii.gz"
    write_lesion(path, (30.0, 0.0, 20.0), 10.0)
    image = nib.load(path)
    data, affine = write(np.asarray(image.dataobj).astype(np.int16), image.affine)
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "bad.nii.gz")
    with pytest.raises(InputError, match=fault):
        load_lesion(tmp_path / "bad.nii.gz")
