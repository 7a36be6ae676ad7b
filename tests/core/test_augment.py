"""What scanners add, beyond the recipe: each does what its name says, and is off unless asked for."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.augment import FULL, MOVEMENTS, Augmentation, augment
from strokereg.core.errors import InputError
from strokereg.core.recipe import augmentation_of
from strokereg.core.trainer import TrainerSettings

STILL = Augmentation(flip=False, **{name: 0.0 for name in Augmentation.model_fields if name != "flip"})


def run(image, seed=0, **more):
    labels = torch.zeros(image.shape[0], *image.shape[2:], dtype=torch.int64)
    how = STILL.model_copy(update=more)
    return augment(image, labels, how, torch.Generator().manual_seed(seed))[0]


def flat(*shape, value=0.0):
    return torch.full((shape[0], 1, *shape[1:]), value)


def test_rician_noise_lifts_what_is_dark_and_hardly_what_is_bright():
    dark, bright = (run(flat(8, 64, 64, value=v), rician=0.4) - v for v in (-0.95, 0.2))
    assert dark.mean() > 0.05
    assert abs(float(bright.mean())) < 0.3 * float(dark.mean())
    assert bright.std() > 0.05


def test_a_ghost_lies_half_a_field_of_view_away_along_y():
    image = flat(1, 32, 24, value=-0.9)
    image[0, 0, 4:8, 10:14] = 0.8
    changed = run(image, ghost=0.5) - image
    assert (changed[0, 0, 20:24, 10:14] > 0.01).all()
    assert (changed[0, 0, 4:8, 10:14] < -0.01).all()
    assert changed[0, 0, 12:16].abs().max() < 1e-5


@pytest.mark.parametrize("shape", [(20, 20), (12, 12, 12)])
def test_a_thick_slice_smooths_along_one_axis(shape):
    image = flat(30, *shape, value=-0.5)
    middle = tuple(n // 2 for n in shape)
    image[(slice(None), 0, *middle)] = 0.9
    changed = (run(image, thick=1.0) - image).abs() > 1e-5
    axes = set()
    for sample in changed[:, 0]:
        spread = [int(i) for i in (sample.nonzero() - torch.tensor(middle)).abs().amax(0)]
        assert sorted(spread) == [0] * (len(shape) - 1) + [2]
        axes.add(spread.index(2))
    assert len(axes) == len(shape)


def test_the_recipes_are_as_they_were():
    assert all(getattr(how, name) == 0 for how in (FULL, MOVEMENTS) for name in ("rician", "ghost", "thick"))
    assert augmentation_of("segmenter", TrainerSettings()) == FULL
    assert "augment" not in TrainerSettings().model_dump()  # keys of finished trainings stay


def test_changes_are_asked_for_by_name():
    settings = TrainerSettings(augment={"rician": 0.05, "flip": 0})
    how = augmentation_of("segmenter", settings)
    assert (how.rician, how.flip, how.rotate) == (0.05, False, FULL.rotate)
    assert TrainerSettings.model_validate(settings.model_dump()) == settings
    with pytest.raises(InputError, match=r"--augment has no option 'rican'.*rician"):
        augmentation_of("segmenter", TrainerSettings(augment={"rican": 0.05}))
    with pytest.raises(InputError, match="ghost=2"):
        augmentation_of("segmenter", TrainerSettings(augment={"ghost": 2}))
