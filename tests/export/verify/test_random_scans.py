"""Random scans are the same everywhere, on the grids that scans come on."""

import nibabel as nib
import numpy as np
import pytest

from strokereg.export.files import read_bundle
from strokereg.export.verify.random_scans import feeds, random_scans


@pytest.fixture(scope="module")
def scans(exported):
    return random_scans(read_bundle(exported["onnx"]))


def test_the_same_seed_gives_the_same_scans(exported, scans):
    bundle = read_bundle(exported["onnx"])
    for one, again in zip(scans, random_scans(bundle), strict=True):
        assert np.array_equal(one[0].data, again[0].data)
    assert not np.array_equal(scans[0][0].data, random_scans(bundle, 22)[0][0].data)


def test_one_scan_is_turned_and_one_is_longer_than_a_window(exported, scans):
    (turned,), (long,) = scans
    assert nib.aff2axcodes(turned.affine) != ("R", "A", "S")
    assert nib.aff2axcodes(long.affine) == ("R", "A", "S")
    assert (long.data > 0).any(axis=(0, 2)).sum() > read_bundle(exported["onnx"]).size[-2]


def test_the_graph_is_fed_with_all_channels_on_one_grid(scans):
    fed = feeds(scans[0])
    assert fed["scan"].shape == (1, *scans[0][0].data.shape)
    assert fed["affine"].shape == (4, 4)
