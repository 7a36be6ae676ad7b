"""Pictures for quality control: the slices with most lesion, in axial view."""

import numpy as np
import pytest
from PIL import Image

from strokereg.core.scan.pictures import CALLED
from strokereg.export.runtime.qc import _slices, draw_mask, draw_synthesis


@pytest.fixture
def head():
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (30, 34, 22)), indexing="ij")
    brain = x**2 + y**2 + z**2 < 0.8
    lesion = (x - 0.3) ** 2 + y**2 + z**2 < 0.05
    return np.where(brain, 100.0, 0.0).astype(np.float32), lesion


def outlined(path) -> np.ndarray:
    return (np.asarray(Image.open(path)) == CALLED).all(axis=-1)


def test_a_mask_is_outlined_the_same_however_the_scan_is_stored(head, tmp_path):
    scan, lesion = head
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    plain = draw_mask(tmp_path / "a.png", scan, lesion, affine, "1 ml, 1")
    turned = draw_mask(
        tmp_path / "b.png", scan.transpose(2, 0, 1), lesion.transpose(2, 0, 1), affine[:, [2, 0, 1, 3]], "1 ml, 1"
    )
    assert outlined(plain).any()
    assert np.array_equal(outlined(plain), outlined(turned))
    assert not outlined(draw_mask(tmp_path / "c.png", scan, lesion & False, affine, "0 ml, 0")).any()


def test_a_synthesis_shows_labels_above_the_image(head, tmp_path):
    scan, lesion = head
    labels = np.where(lesion, 6, scan > 0).astype(np.uint8)
    picture = np.asarray(Image.open(draw_synthesis(tmp_path / "a.png", labels, 7, scan, np.eye(4))))
    assert picture.ndim == 3
    assert picture.std() > 10


def test_slices_are_those_with_most_lesion_or_spread_over_the_brain():
    amount = np.zeros(20, int)
    brain = np.arange(20) >= 5
    assert len(_slices(amount, brain)) == 6
    assert min(_slices(amount, brain)) > 5
    amount[[3, 9]] = 4, 2
    assert _slices(amount, brain) == [3, 9]
