"""What is special about `random-contrast`: contrast by chance, scaled as scans are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strokereg.plugins.translators.random_contrast import RandomContrast, _blur
from strokereg.registry.problem import Problem

LABELS = 5


def translator(dims=2, channels=1, **options):
    return RandomContrast(
        Problem(dims=dims, labels=LABELS, channels=channels, size=(16,) * dims), RandomContrast.Options(**options)
    ).eval()


def draws(model, count, seed=0):
    return torch.randn(count, model.noise, generator=torch.Generator().manual_seed(seed))


def quarters(count=1):
    """Maps of four equal tissues in a frame of background."""
    labels = torch.zeros(count, 40, 40, dtype=torch.int64)
    labels[:, 4:20, 4:20], labels[:, 4:20, 20:36], labels[:, 20:36, 4:20], labels[:, 20:36, 20:36] = 1, 2, 3, 4
    return labels


def means(image, labels):
    return torch.stack([image[0, 0][labels[0] == k].mean() for k in range(1, LABELS)])


def test_any_order_of_the_labels_comes_up():
    model, labels = translator(), quarters()
    seen = {tuple(means(model(labels, draws(model, 1, seed)), labels).argsort().tolist()) for seed in range(200)}
    assert len(seen) == 24


def test_the_lesion_is_the_brightest_where_that_is_asked():
    model, labels = translator(lesion_bright=True, spread=0.0, bias=0.0, blur=0.0), quarters()
    brightest = [int(means(model(labels, draws(model, 1, seed)), labels).argmax()) for seed in range(50)]
    assert set(brightest) == {3}


def test_background_is_empty_and_the_mean_of_the_brain_is_where_scans_have_their_median():
    model, labels = translator(channels=2), quarters(8)
    image = model(labels, draws(model, 8))
    assert image.shape == (8, 2, 40, 40)
    assert (image[(labels == 0)[:, None].expand_as(image)] == -1).all()
    inside = torch.stack([row[:, place > 0].mean(1) for row, place in zip(image, labels, strict=True)])
    assert inside.median() == pytest.approx(-0.5, abs=0.02)  # clipping may take some off the brightest
    assert inside.max() < -0.49


def test_channels_have_contrasts_of_their_own():
    model, labels = translator(channels=2), quarters()
    first, second = model(labels, draws(model, 1))[0, :, 4:36, 4:36].flatten(1)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.95


def test_without_spread_shading_and_blur_a_label_is_one_value():
    model, labels = translator(spread=0.0, bias=0.0, blur=0.0, gamma=0.0), quarters()
    image = model(labels, draws(model, 1))[0, 0]
    assert all(image[labels[0] == k].std() < 1e-6 for k in range(1, LABELS))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_blur_is_that_of_scipy(dims):
    from scipy import ndimage

    image = torch.randn(2, 1, *(14,) * dims, generator=torch.Generator().manual_seed(0))
    ours = _blur(image, torch.arange(-3, 4), torch.tensor([[[0.5]], [[0.9]]]))
    for row, width in zip(range(2), (0.5, 0.9), strict=True):
        theirs = ndimage.gaussian_filter(image[row, 0].numpy(), width, mode="constant", radius=3)
        np.testing.assert_allclose(ours[row, 0].numpy(), theirs, atol=1e-5)
