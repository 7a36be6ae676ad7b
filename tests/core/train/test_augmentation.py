"""The recipes are those that studies were run with; changes are asked for by name."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from strokereg.core.train.artefacts import KINDS
from strokereg.core.train.augmentation import (
    FULL,
    MOVEMENTS,
    Augmentation,
    apply_changes,
    augmentation_of,
    draw_changes,
)
from strokereg.core.train.trainer import TrainerSettings
from strokereg.registry.errors import InputError


def block(shape):
    labels = torch.zeros(4, *shape, dtype=torch.int64)
    labels[(slice(None), *(slice(n // 4, n // 2 + 3) for n in shape))] = 3
    image = (labels > 0).float()[:, None].repeat(1, 2, *[1] * len(shape)) * 1.2 - 1.0
    return image, labels


@pytest.mark.parametrize(
    ("how", "shape", "mean", "spread", "voxels"),
    [
        (FULL, (24, 40), -0.82824, 0.40451, 547),
        (FULL, (12, 16, 20), -0.86196, 0.34142, 1876),
        (MOVEMENTS, (24, 40), -0.8451, 0.38753, 509),
        (MOVEMENTS, (12, 16, 20), -0.87778, 0.33693, 1482),
    ],
)
def test_the_recipes_give_what_they_gave(how, shape, mean, spread, voxels, augment):
    """Numbers of the code that the studies in docs/results were run with."""
    image, labels = augment(*block(shape), how, torch.Generator().manual_seed(3))
    assert float(image.mean()) == pytest.approx(mean, abs=1e-4)
    assert float(image.std()) == pytest.approx(spread, abs=1e-4)
    assert int((labels > 0).sum()) == pytest.approx(voxels, abs=2)


@pytest.mark.parametrize("shape", [(24, 40), (12, 16, 20)])
def test_only_chosen_samples_are_smoothed_and_to_the_bit(shape, monkeypatch, augment):
    image, labels = block(shape)
    image = image + 0.1 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0)) * (image > -1)
    pool, seen = getattr(F, f"avg_pool{len(shape)}d"), []
    monkeypatch.setattr(F, pool.__name__, lambda signal, *how: seen.append(len(signal)) or pool(signal, *how))
    still = dict.fromkeys((name for name in Augmentation.model_fields if name not in ("flip", "blur")), 0.0)
    changes = draw_changes(Augmentation(flip=False, blur=0.5, **still), labels.shape, torch.Generator().manual_seed(1))
    assert 0 < len(changes.blurred) < len(image)
    changed, _ = apply_changes(image, labels, Augmentation(flip=False, blur=0.5, **still), changes)
    assert seen == [len(changes.blurred)]
    moved, _ = augment(image, labels, Augmentation(flip=False, **still, blur=0.0), torch.Generator())
    signal, chosen = (moved + 1.0) / 2.0, torch.zeros(len(image), *[1] * (image.ndim - 1), dtype=torch.bool)
    chosen[changes.blurred] = True
    smooth = torch.where(chosen, 0.5 * (signal + pool(signal, 3, 1, 1)), signal)  # of the whole batch
    wanted = torch.where(signal > 0.01, smooth.clamp(min=1e-6).pow(torch.ones(1)) * 2.0 - 1.0, -1.0).clamp(-1.0, 1.0)
    assert torch.equal(changed, wanted)


@pytest.mark.parametrize("shape", [(24, 40), (12, 16, 20)])
def test_samples_are_changed_all_at_once_as_they_would_be_one_by_one(shape):
    image, labels = block(shape)
    quiet = FULL.model_copy(update={"noise": 0.0})
    changes = draw_changes(quiet, labels.shape, torch.Generator().manual_seed(3))
    together = apply_changes(image, labels, quiet, changes)
    for sample in range(len(image)):
        part = slice(sample, sample + 1)
        alone = apply_changes(image[part], labels[part], quiet, changes.only(part))
        torch.testing.assert_close(alone[0], together[0][part], atol=1e-4, rtol=0)
        assert torch.equal(alone[1], together[1][part])


def test_the_recipes_have_no_artefacts_and_leave_no_trace():
    assert all(getattr(how, name) == 0 for how in (FULL, MOVEMENTS) for name in KINDS)
    assert augmentation_of("segmenter", {}) == FULL
    assert "augment" not in TrainerSettings().model_dump()  # keys of finished trainings stay


@pytest.mark.parametrize("shape", [(24, 40), (12, 16, 20)])
def test_artefacts_move_neither_image_nor_labels(shape, augment):
    pytest.importorskip("torchio", reason="TorchIO is not installed")
    image, labels = block(shape)
    all_kinds = MOVEMENTS.model_copy(update=dict.fromkeys(KINDS, 1.0))
    plain, moved = augment(image, labels, MOVEMENTS, torch.Generator().manual_seed(3))
    changed, kept = augment(image, labels, all_kinds, torch.Generator().manual_seed(3))
    assert torch.equal(kept, moved)
    assert not torch.equal(changed, plain)
    assert torch.equal(changed == -1, plain == -1) or (changed[plain == -1] == -1).all()


def test_changes_are_asked_for_by_name():
    settings = TrainerSettings(augment={"rician_noise": 0.05, "flip": 0})
    how = augmentation_of("segmenter", settings.augment)
    assert (how.rician_noise, how.flip, how.rotate) == (0.05, False, FULL.rotate)
    assert TrainerSettings.model_validate(settings.model_dump()) == settings
    assert isinstance(how, Augmentation)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rician": 0.05}, r"--augment has no option 'rician' \(did you mean rician_noise\?\)"),
        ({"bias": 0.2}, r"--augment has no option 'bias'.*bias_field"),
        ({"motion": 2}, r"--augment: option motion=2: Input should be less than or equal to 1"),
        ({"ghosting": -0.1}, r"--augment: option ghosting=-0\.1"),
    ],
)
def test_what_is_wrong_is_named(changes, said):
    with pytest.raises(InputError, match=said):
        augmentation_of("segmenter", changes)
