"""One simulated case on a coarse grid, as tissue classification sees it, with its true labels."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import Case, read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.nifti import read_volume
from strokereg.core.tissue.scan import BrainScan, take_scan


@pytest.fixture(scope="session")
def case(small_cohort) -> Case:
    """A simulated case at 3 T and b 1000, the contrast that classification expects, with ADC."""
    return read_case(open_cohort(small_cohort).cases[1], ("dwi", "adc"))


@pytest.fixture(scope="session")
def scan(case) -> BrainScan:
    """Its brain and channels."""
    return take_scan(case)


@pytest.fixture(scope="session")
def truth(small_cohort, case, scan) -> np.ndarray:
    """True labels on the axes and in the box of `scan`."""
    dseg = read_volume(open_cohort(small_cohort).cases[1].dseg)
    turned = nib.orientations.apply_orientation(dseg.data, nib.orientations.io_orientation(dseg.affine))
    assert scan.restore(turned[scan._where].astype(np.uint8)).shape == case.reference.data.shape
    return turned[scan._where].astype(np.uint8)
