"""What tests of the training share."""

from __future__ import annotations

import pytest

from strokereg.core.train.augmentation import apply_changes, draw_changes


@pytest.fixture(scope="session")
def augment():
    """`augment(image, labels, augmentation, generator)` → both augmented on the CPU, as a sampler does it."""

    def do(image, labels, how, generator):
        return apply_changes(image, labels, how, draw_changes(how, tuple(labels.shape), generator))

    return do
