"""A folder of three patients as a lab would name them, and how it is imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.importing.run import Imported, import_data
from strokereg.core.cohort.importing.transfer import ImportSettings

PATTERNS = {"images": "*_dwi.nii.gz", "masks": "*_lesion.nii.gz", "adc": "*_adc.nii.gz"}
AFFINE = np.diag([-2.0, 2.0, 3.0, 1.0])


@pytest.fixture
def save() -> Callable[..., None]:
    """Writer of NIfTI files on the grid of the source: (path, data, affine)."""
    return _save


def _save(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    nib.save(nib.Nifti1Image(data, affine), path)


@pytest.fixture
def bring() -> Callable[..., Imported]:
    """Importer of the source: (source, out, on_case, settings by name)."""

    def bring(source: Path, out: Path, on_case: Callable[[int, int], None] | None = None, **settings) -> Imported:
        wanted = ImportSettings("folder", PATTERNS, **settings)
        return import_data(source, out, wanted, on_case) if on_case else import_data(source, out, wanted)

    return bring


@pytest.fixture
def source(tmp_path) -> Path:
    """Three patients of a few voxels, named as a lab would."""
    root = tmp_path / "lab"
    root.mkdir()
    for number in range(1, 4):
        rng = np.random.default_rng(number)
        brain = rng.uniform(80, 120, (12, 14, 6)).astype(np.float32)
        mask = np.zeros((12, 14, 6), np.uint8)
        mask[4 : 5 + number, 5:8, 2:4] = 1
        _save(root / f"Pat_{number}_dwi.nii.gz", brain)
        _save(root / f"Pat_{number}_adc.nii.gz", brain / 120)
        _save(root / f"Pat_{number}_lesion.nii.gz", mask)
    (root / "Pat_1_dwi.json").write_text('{"EchoTime": 0.09}')
    return root
