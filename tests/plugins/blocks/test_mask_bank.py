"""Real masks out of a bank: which are kept, how they are warped, and what a folder in MNI space becomes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strokereg.core.roles import Batch, noise
from strokereg.core.scan.nifti import write_volume
from strokereg.core.train.runs import load_model
from strokereg.plugins.generators.mask_library import MaskLibrary, extent
from strokereg.plugins.generators.mask_warp import MaskWarp
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem

STILL = {"turn": 0.0, "shift": 0.0, "scale": 0.0, "elastic": 0.0}


def warp(size=(16, 20), **options):
    return MaskWarp(Problem(dims=len(size), size=size), MaskWarp.Options(**{**STILL, **options})).eval()


def blob(size, low=3, edge=4):
    mask = torch.zeros(1, 1, *size)
    mask[(0, 0, *(slice(low + axis, low + axis + edge) for axis in range(len(size))))] = 1.0
    return mask


def still(model, count=1, flip=1.0):
    z = torch.zeros(count, model.noise)
    z[:, 1] = flip
    return z


@pytest.mark.parametrize("size", [(16, 20), (12, 16, 20)])
def test_without_a_warp_a_mask_comes_out_as_it_went_in(size):
    model, mask = warp(size), blob(size)
    model.keep(mask)
    assert torch.equal(model(still(model)) > 0, mask > 0)
    assert torch.equal(model(still(model, flip=-1.0)) > 0, mask.flip(-1) > 0)


def test_a_quarter_turn_and_a_shift():
    mask = blob((16, 16))
    model = warp((16, 16), turn=90.0)
    model.keep(mask)
    z = still(model)
    z[:, 5] = 1.0  # after which, flip, size and two shifts
    assert torch.equal(model(z)[0, 0] > 0, torch.rot90(mask[0, 0], -1) > 0) or torch.equal(
        model(z)[0, 0] > 0, torch.rot90(mask[0, 0]) > 0
    )
    moving = warp((16, 16), shift=0.125)
    moving.keep(mask)
    z = still(moving)
    z[:, 3] = 1.0  # along x, two voxels
    assert torch.equal(moving(z) > 0, mask.roll(-2, -1) > 0)


def test_only_lesions_enter_and_the_bank_ends():
    model = warp(bank=3)
    model.keep(torch.zeros(4, 1, 16, 20))
    assert int(model.held) == 0
    assert not (model(noise(model, 4)) > 0).any()
    model.keep(torch.cat([torch.zeros(1, 1, 16, 20), *(blob((16, 20), low) for low in range(5))]))
    assert int(model.held) == 3
    assert torch.equal(model.masks[2].float(), blob((16, 20), 2)[0])


def test_every_mask_has_the_same_chance():
    model = warp(bank=4)
    for low in range(4):
        model.keep(blob((16, 20), low))
    torch.manual_seed(0)
    drawn = model(torch.cat([torch.randn(800, 1), still(model, 800)[:, 1:]], 1)) > 0
    firsts = drawn[:, 0].flatten(1).float().argmax(1)
    counts = torch.stack([(firsts == low * 20 + low + 1).sum() for low in (3, 2, 1, 0)])
    assert counts.sum() == 800
    assert counts.min() > 150


@pytest.mark.parametrize("size", [(16, 20), (12, 16, 20)])
def test_the_smallest_lesion_survives_and_stays_small(size):
    model = MaskWarp(Problem(dims=len(size), size=size), MaskWarp.Options()).eval()
    model.keep(blob(size, 6, 1))
    torch.manual_seed(0)
    voxels = (model(noise(model, 200)) > 0).flatten(1).sum(1)
    assert (voxels > 0).float().mean() > 0.95
    assert voxels.float().mean() < 3
    large = MaskWarp(Problem(dims=len(size), size=size), MaskWarp.Options()).eval()
    large.keep(blob(size, 3, 6))
    mean = (large(noise(large, 200)) > 0).flatten(1).sum(1).float().mean()
    assert float(mean) == pytest.approx(6 ** len(size), rel=0.2)


def look(model, record):
    size = record.problem.size
    axes = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in size), indexing="ij")
    brain = (sum(axis**2 for axis in axes) < 0.8).long()[None].repeat(4, *(1,) * len(size))
    torch.manual_seed(0)
    for _ in range(model.looks):
        starts = torch.randint(4, 12, (4, len(size)))
        mask = torch.zeros(4, 1, *size)
        for row, start in zip(mask, starts.tolist(), strict=True):
            row[(0, *(slice(s, s + 7) for s in start))] = 1.0
        list(model.moves(Batch(brain, brain[:, None].float(), mask)))


@pytest.fixture(scope="module")
def lesions(tmp_path_factory):
    """Six balls of 12 mm radius around (40, -40, 20) mm in MNI space."""
    folder = tmp_path_factory.mktemp("lesions")
    mm = np.stack(np.meshgrid(*(np.arange(low, low + 160, 2.0) for low in (-80, -108, -76)), indexing="ij"))
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -80, -108, -76
    ball = ((mm - np.array([40, -40, 20])[:, None, None, None]) ** 2).sum(axis=0) < 12**2
    for number in range(6):
        write_volume(folder / f"sub-{number}.nii.gz", ball.astype(np.uint8), affine)
    return folder


def brain_batch(size, low, high):
    """Brains that reach from voxel `low` to `high` on every axis."""
    labels = torch.zeros(2, *size, dtype=torch.int64)
    labels[(slice(None), *(slice(low, high + 1),) * len(size))] = 1
    empty = torch.zeros(2, 1, *size)
    return Batch(labels, empty, empty)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_lesion_lands_where_it_lies_in_the_brain(dims, lesions):
    size = (40,) * dims
    options = MaskLibrary.Options(folder=str(lesions), looks=2, **STILL)
    model = MaskLibrary(Problem(dims=dims, size=size), options).eval()
    torch.manual_seed(0)
    for _ in range(2):
        assert int(model.held) == 0
        list(model.moves(brain_batch(size, 4, 35)))
    assert int(model.held) == 6
    for mask in model.masks[:6, 0].numpy():
        middle = np.argwhere(mask).mean(axis=0)[::-1]
        # MNI152's brain reaches from -67 to 67 mm in x, -100 to 66 in y and -61 to 75 in z; either side is right.
        expected = [4 + 31 * (40 + 67) / 134, 4 + 31 * (-40 + 100) / 166, 4 + 31 * (20 + 61) / 136][:dims]
        assert max(middle[0], 39 - middle[0]) == pytest.approx(expected[0], abs=2.5)
        assert middle[1:] == pytest.approx(expected[1:], abs=2.5)
        radius = 12 * 31 / 140
        full = (np.pi if dims == 2 else 4 / 3 * np.pi * radius) * radius**2
        assert mask.sum() <= 1.6 * full


def test_extents_are_averaged():
    brains = np.zeros((2, 20, 20, 20), dtype=bool)
    brains[0, 4:10, 2:18, 6:15] = True
    brains[1, 6:12, 2:18, 6:15] = True
    assert extent(brains).tolist() == [[6, 2, 5], [14, 17, 10]]
    assert extent(np.zeros((1, 8, 10), dtype=bool)).tolist() == [[0, 0], [9, 7]]


def test_a_finished_run_does_not_need_the_folder(make_run, lesions, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for path in lesions.iterdir():
        (folder / path.name).symlink_to(path)
    run = make_run("mask-library", fit=look, bank=16, folder=str(folder))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    model = load_model(run)[1]
    assert (model(noise(model, 4)) > 0).flatten(1).any(1).all()


def test_folders_that_cannot_be_used(tmp_path):
    problem = Problem(size=(16, 16))
    with pytest.raises(InputError, match=r"mask-library: needs a folder .* --set folder=DIR"):
        MaskLibrary(problem, MaskLibrary.Options())
    model = MaskLibrary(problem, MaskLibrary.Options(folder=str(tmp_path / "none")))
    with pytest.raises(InputError, match=r"option folder .*none: no such folder"):
        list(model.moves(brain_batch((16, 16), 2, 12)))


def test_real_masks_keep_their_spread_of_sizes(real_data):
    model = MaskLibrary(
        Problem(dims=3, size=(24, 32, 24)),
        MaskLibrary.Options(folder=str(real_data / "soop" / "lesions_mni"), bank=24, looks=1),
    ).eval()
    torch.manual_seed(0)
    list(model.moves(brain_batch((24, 32, 24), 1, 22)))
    assert int(model.held) == 24
    before = model.masks.flatten(1).sum(1).double().log().mean()
    voxels = (model(noise(model, 100)) > 0).flatten(1).sum(1)
    assert (voxels > 0).float().mean() > 0.9
    after = voxels[voxels > 0].double().log().mean()
    assert abs(float(after - before)) < 0.5
