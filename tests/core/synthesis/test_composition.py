"""Editing: the difference of two translations is added inside the head; label maps without images are refused."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.synthesis.composition import Composition, edit_image, refuse_edited
from strokereg.registry.errors import InputError


def test_the_difference_of_the_translations_is_added_inside_the_head():
    image, before, after = (np.full((1, 1, 2, 2), value, np.float32) for value in (0.5, -0.2, 0.1))
    head = np.array([[[True, True], [True, False]]])
    after[0, 0, 0, 1] = 0.9
    np.testing.assert_allclose(edit_image(image, before, after, head), [[[[0.8, 1.0], [0.8, -1.0]]]], atol=1e-6)


def test_label_maps_without_images_cannot_be_edited():
    refuse_edited("heads", [Composition.TRANSLATED])
    refuse_edited(None, [Composition.EDITED])
    with pytest.raises(InputError, match=r"--compose both: .* --anatomies heads have none; leave out"):
        refuse_edited("heads", ["translated", "both"])
