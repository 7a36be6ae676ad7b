"""One image out of a file of several volumes."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.scan.series import read_image
from strokereg.registry.errors import FileFault

TRACE = np.random.default_rng(0).uniform(50, 150, (5, 4, 3)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    """b = 0 and three directions, whose geometric mean is the trace."""
    stack = np.stack([3 * TRACE, 2 * TRACE, TRACE / 2, TRACE], -1)
    nib.save(nib.Nifti1Image(stack, np.eye(4)), tmp_path / "a_dwi.nii.gz")
    return tmp_path / "a_dwi.nii.gz"


def test_directions_are_averaged_on_request(path):
    path.with_name("a_dwi.bval").write_text("0 995 1000 1005")
    with pytest.raises(FileFault, match="holds 3 directions of b = 1005 s/mm²; import with --average-directions"):
        read_image(path, "dwi")
    np.testing.assert_allclose(read_image(path, "dwi", average=True).data, TRACE, rtol=1e-5)
    np.testing.assert_array_equal(read_image(path, "dwi", 3).data, TRACE)
    with pytest.raises(FileFault, match="its shape is"):
        read_image(path, "adc")


def test_the_strongest_volume_is_found_by_its_b_value(path):
    path.with_name("a_dwi.bval").write_text("0 200 500 1000")
    np.testing.assert_array_equal(read_image(path, "dwi").data, TRACE)


def test_b_values_of_another_number_are_refused(path):
    path.with_name("a_dwi.bval").write_text("0 1000 1000 1000 1000")
    with pytest.raises(FileFault, match=r"its \.bval file has 5 values, but its shape is"):
        read_image(path, "dwi", average=True)
