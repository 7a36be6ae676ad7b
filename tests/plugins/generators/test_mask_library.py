"""`mask-library`: masks of a folder in MNI space on the network grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strokereg.core.roles import Batch, noise
from strokereg.core.scan.nifti import write_volume
from strokereg.core.train.runs import load_model
from strokereg.plugins.generators.mask_library import MaskLibrary, extent
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem
from strokereg.testing.pretend import PretendedDevice

STILL = {"turn": 0.0, "shift": 0.0, "scale": 0.0, "elastic": 0.0}


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
def lesions(tmp_path_factory, write_ball):
    """Six balls of 12 mm radius around (40, -40, 20) mm in MNI space."""
    folder = tmp_path_factory.mktemp("lesions")
    for number in range(6):
        write_ball(folder / f"sub-{number}.nii.gz", (40, -40, 20), 12, 2.0)
    return folder


def brain_batch(size, low, high):
    """Brains that reach from voxel `low` to `high` on every axis."""
    labels = torch.zeros(2, *size, dtype=torch.int64)
    labels[(slice(None), *(slice(low, high + 1),) * len(size))] = 1
    empty = torch.zeros(2, 1, *size)
    return Batch(labels, empty, empty)


@pytest.mark.parametrize("kind", ["cuda", "meta"])
def test_the_last_look_stays_on_the_device_and_needs_no_float64(kind, lesions):
    model = MaskLibrary(Problem(size=(40, 40)), MaskLibrary.Options(folder=str(lesions), looks=1))
    batch = brain_batch((40, 40), 4, 35)
    with PretendedDevice(kind) as device:
        put = device.put(model)
        list(put.moves(Batch(*(device.tensor(value) for value in (batch.labels, batch.image, batch.mask)))))
        assert device.owns(put.masks)


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


@pytest.fixture
def slices(tmp_path):
    """Four slices at z = 18 mm with a square of 20 mm around (30, -40) mm."""
    affine = np.eye(4)
    affine[:3, 3] = -78, -112, 18
    mask = np.zeros((157, 189, 1), dtype=np.uint8)
    mask[98:118, 62:82] = 1
    for number in range(4):
        write_volume(tmp_path / f"sub-{number}.nii.gz", mask, affine)
    return tmp_path


def test_masks_that_are_slices_keep_their_place_and_size(slices):
    size = (60, 60)
    model = MaskLibrary(Problem(dims=2, size=size), MaskLibrary.Options(folder=str(slices), looks=1, **STILL)).eval()
    assert not model.keeps_place
    torch.manual_seed(0)
    list(model.moves(brain_batch(size, 4, 55)))
    assert model.keeps_place
    assert int(model.held) == 4
    for mask in model.masks[:4, 0].numpy():
        assert mask.sum() == pytest.approx((20 * 51 / 134) * (20 * 51 / 166), rel=0.2)
        y, x = np.argwhere(mask).mean(axis=0)
        assert max(x, 59 - x) == pytest.approx(4 + 51 * (30 + 67) / 134, abs=2.5)
        assert y == pytest.approx(4 + 51 * (-40 + 100) / 166, abs=2.5)


def test_masks_of_a_height_come_from_near_it(tmp_path, write_ball):
    """Twelve balls low and four high in the brain; the eight nearest are eligible where fewer are within 6 mm."""
    for number in range(16):
        write_ball(tmp_path / f"sub-{number}.nii.gz", (40, -40, -20 if number < 12 else 40), 3, 2.0)
    options = MaskLibrary.Options(folder=str(tmp_path), looks=1, **STILL)
    model = MaskLibrary(Problem(dims=2, size=(40, 40)), options).eval()
    torch.manual_seed(0)
    list(model.moves(brain_batch((40, 40), 4, 35)))
    model.masks.zero_()
    for slot in range(16):
        model.masks[slot, 0, slot + 10, 10:20] = 1  # each mask in a row of its own
    z = torch.randn(400, model.noise)
    asked = model.for_heights(z, torch.tensor([-20.0, 40.0]).repeat(200))
    assert torch.equal(asked[:, 1:], z[:, 1:])
    chosen = (model(asked)[:, 0] > 0).any(2).float().argmax(1) - 10
    found = model.mm[chosen]
    assert (found[::2] < -10).all()
    assert len(chosen[::2].unique()) == 12
    assert (found[1::2] > 30).float().mean() == pytest.approx(0.5, abs=0.12)  # four high ones, and the four next
    assert len(chosen[1::2].unique()) == 8


def test_masks_are_cut_at_the_heights_of_the_training_slices(lesions):
    """The balls reach from 8 to 32 mm."""
    options = MaskLibrary.Options(folder=str(lesions), looks=1, heights=(-30.0, 28.0), **STILL)
    model = MaskLibrary(Problem(dims=2, size=(40, 40)), options)
    torch.manual_seed(0)
    list(model.moves(brain_batch((40, 40), 4, 35)))
    assert int(model.held) == 6
    assert model.mm[:6].numpy() == pytest.approx([28.0] * 6, abs=2.5)
    assert not model.keeps_place  # where a slice is not in MNI space, the study decides
    outside = MaskLibrary(Problem(dims=2, size=(40, 40)), options.model_copy(update={"heights": (-30.0,)}))
    with pytest.raises(InputError, match=r"none of its masks shows a lesion at the height .* \(z = -30 mm\)"):
        list(outside.moves(brain_batch((40, 40), 4, 35)))


def test_single_slices_are_refused_in_3d(slices):
    model = MaskLibrary(Problem(dims=3, size=(16, 16, 16)), MaskLibrary.Options(folder=str(slices), looks=1))
    with pytest.raises(InputError, match="holds single slices, but the network is 3D"):
        list(model.moves(brain_batch((16, 16, 16), 2, 12)))


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
