"""Brain extraction on simulated heads, where the brain is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from strokereg.core.brain.extraction import extract_brain, shows_skull, within
from strokereg.core.scan.nifti import Volume
from strokereg.registry.errors import FileFault

SPACING = 4.0


@pytest.fixture(scope="module")
def head():
    """A scan with skull: brain, dark ventricles, scalp, muscle below, bright fat, eyes; and where its brain is."""
    rng = np.random.default_rng(0)
    shape = (56, 60, 44)
    x, y, z = (
        (np.arange(n, dtype=np.float32) - (n - 1) / 2).reshape([-1 if a == b else 1 for b in range(3)]) * SPACING
        for a, n in enumerate(shape)
    )
    radius = np.sqrt((x / 68) ** 2 + (y / 85) ** 2 + ((z - 5) / 68) ** 2)
    image = np.zeros(shape, dtype=np.float32)
    image[radius < 1.2] = 20.0  # scalp
    image[(np.hypot(x, y) < 60) & (z < -60)] = 30.0  # muscle
    image[radius < 1.12] = 2.0  # bone
    image[(radius > 1.15) & (radius < 1.2) & (y < -80)] = 160.0  # fat
    image[np.broadcast_to(np.hypot(np.abs(x) - 30, np.hypot(y - 85, z + 20)) < 12, shape)] = 25.0
    brain = radius < 1.0
    image[brain] = 100.0
    image[np.sqrt((x / 15) ** 2 + (y / 40) ** 2 + (z / 15) ** 2) < 1] = 35.0  # ventricles
    image *= np.exp(0.003 * -y)  # bright behind, as near a coil
    image = np.hypot(image + rng.normal(0, 4, shape), rng.normal(0, 4, shape)).astype(np.float32)
    return Volume(image, np.diag([SPACING] * 3 + [1.0]), Path("head_dwi.nii.gz")), brain


def dice(one, other):
    return 2.0 * (one & other).sum() / (one.sum() + other.sum())


def test_the_brain_is_found_with_its_ventricles_and_without_what_surrounds_it(head):
    scan, brain = head
    found = extract_brain(scan)
    assert dice(found, brain) > 0.95
    assert found[28, 30, 22]  # in a ventricle
    assert shows_skull(scan, found)


def test_any_orientation_gives_the_same_brain(head):
    scan, _ = head
    turned = Volume(scan.data.transpose(2, 0, 1)[::-1], scan.affine, scan.path)
    assert np.array_equal(extract_brain(turned), extract_brain(scan).transpose(2, 0, 1)[::-1])


def test_thick_slices_and_fine_pixels(head):
    scan, brain = head
    affine = np.diag([SPACING / 4, SPACING / 4, SPACING * 1.5, 1.0])
    at = np.round(np.arange(0, 43, 1.5)).astype(int)
    fine = Volume(scan.data[:, :, at].repeat(4, 0).repeat(4, 1), affine, scan.path)
    assert dice(extract_brain(fine), brain[:, :, at].repeat(4, 0).repeat(4, 1)) > 0.94


def test_an_extracted_scan_shows_no_skull_and_keeps_its_brain(head):
    scan, brain = head
    (stripped,) = within([scan], brain)
    found = extract_brain(stripped)
    assert not shows_skull(stripped, found)
    assert dice(found, brain) > 0.95
    assert not stripped.data[~brain].any()


def test_a_bright_lesion_at_the_edge_is_kept(head):
    scan, brain = head
    data = scan.data.copy()
    data[8:16, 26:34, 20:28] *= np.where(brain[8:16, 26:34, 20:28], 2.5, 1.0)
    found = extract_brain(replace(scan, data=data))
    lesion = np.zeros(brain.shape, dtype=bool)
    lesion[8:16, 26:34, 20:28] = True
    assert (found & lesion & brain).sum() > 0.95 * (lesion & brain).sum()


@pytest.mark.parametrize("data", [np.zeros((20, 20, 20)), np.ones((20, 20, 20)), np.eye(20)[:, :, None]])
def test_what_is_no_brain_is_said_to_be_none(data):
    scan = Volume(np.asarray(data, dtype=np.float32), np.eye(4), Path("odd_dwi.nii.gz"))
    with pytest.raises(FileFault, match=r"odd_dwi.nii.gz.*no brain.*give a brain mask"):
        extract_brain(scan)
