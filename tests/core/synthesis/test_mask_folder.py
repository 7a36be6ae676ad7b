"""MNI masks on a coarse grid: place and volume are kept, faults are one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.scan.nifti import write_volume
from strokereg.core.synthesis.mask_folder import MniGrid, mni_brain, read_masks
from strokereg.registry.errors import InputError


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    """`write(count, voxel)`: a folder of little cubes at (30, -20, 10) mm and a step further in x each."""

    def make(count, voxel=2.0):
        folder = tmp_path_factory.mktemp("masks")
        affine = np.diag([-voxel, voxel, voxel, 1.0])
        affine[:3, 3] = 80, -110, -70
        shape = (int(160 / voxel), int(180 / voxel), int(150 / voxel))
        for number in range(count):
            mask = np.zeros(shape, np.uint8)
            at = np.rint(np.linalg.inv(affine) @ np.array([30 - number, -20, 10, 1]))[:3].astype(int)
            mask[tuple(slice(a, a + int(12 / voxel)) for a in at)] = 1
            write_volume(folder / f"m{number:03}.nii.gz", mask, affine)
        return folder

    return make


def test_the_grid_holds_the_brain():
    grid = MniGrid.of(6.0)
    assert all(n % 8 == 0 for n in grid.shape)
    brain = mni_brain(grid)
    assert 1500 < brain.sum() * grid.voxel_ml < 2100
    edges = np.concatenate([brain[[0, -1]].ravel(), brain[:, [0, -1]].ravel(), brain[:, :, [0, -1]].ravel()])
    assert not edges.any()


def test_masks_keep_volume_and_place(write):
    grid, told = MniGrid.of(4.0), []
    masks = read_masks(write(20), grid, lambda done, total: told.append((done, total)))
    assert masks.shape == (20, *grid.shape)
    assert told[-1] == (20, 20)
    assert (masks.sum(axis=(1, 2, 3)) == 27).all()  # 12 mm cubed
    zyx = np.argwhere(masks[0]).mean(axis=0)
    middle = grid.corner + (zyx[::-1] + 0.5) * 4.0
    assert middle == pytest.approx([25, -15, 15], abs=2.5)


def test_faults_are_one_sentence(write):
    with pytest.raises(InputError, match="holds 3 masks; at least 20 are needed"):
        read_masks(write(3), MniGrid.of(4.0))
    with pytest.raises(InputError, match="coarser than the grid; ask for --spacing 6"):
        read_masks(write(20, 6.0), MniGrid.of(4.0))


def test_real_masks_keep_their_volume(real_data, tmp_path):
    files = sorted((real_data / "soop" / "lesions_mni").glob("*.nii.gz"))[:20]
    for path in files:
        (tmp_path / path.name).symlink_to(path.resolve())
    from strokereg.core.simulate.lesions import load_lesion

    grid = MniGrid.of(6.0)
    masks = read_masks(tmp_path, grid)
    volumes = [load_lesion(path).volume_ml for path in files]
    expected = np.maximum(np.array(volumes), grid.voxel_ml)
    assert masks.sum(axis=(1, 2, 3)) * grid.voxel_ml == pytest.approx(expected, rel=0.03, abs=0.6 * grid.voxel_ml)
