"""Small simulated cohorts: the real simulator on the embedded head, on a coarse grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.simulate import Simulation, simulate_cohort

GRID = {"shape": (56, 56, 36), "spacing": 4.0}


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """Ten cases at 4 mm, made in this process."""
    out = tmp_path_factory.mktemp("simulated") / "cohort"
    return simulate_cohort(out, Simulation(10, seed=3, **GRID), workers=1)


@pytest.fixture(scope="session")
def grid() -> dict[str, Any]:
    """The coarse grid, as keyword arguments."""
    return GRID


@pytest.fixture(scope="session")
def write_head() -> Callable[..., None]:
    """Writer of made-up heads: (path, scale)."""
    return _write_head


@pytest.fixture(scope="session")
def write_lesion() -> Callable[..., None]:
    """Writer of made-up lesions: (path, centre in MNI mm, radius in mm)."""
    return _write_lesion


def _write_head(path: Path, scale: float = 1.0) -> None:
    """A FreeSurfer-coded head of nested ellipsoids at 3 mm: fluid, cortex, white matter, thalami, ventricles, skull."""
    x, y, z = (np.arange(-n, n + 1) * 3.0 for n in (32, 36, 32))
    radius = np.sqrt((x[:, None, None] / 62) ** 2 + (y[None, :, None] / 80) ** 2 + (z[None, None, :] / 62) ** 2) / scale
    codes = np.zeros(radius.shape, dtype=np.int16)
    left = np.broadcast_to(x[:, None, None] < 0, radius.shape)
    for limit, (code_left, code_right) in (
        (1.25, (515, 515)),
        (1.05, (24, 24)),
        (1.0, (3, 42)),
        (0.85, (2, 41)),
        (0.35, (10, 49)),
        (0.2, (4, 43)),
    ):
        codes[radius < limit] = np.where(left, code_left, code_right)[radius < limit]
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-96, -108, -96)
    nib.save(nib.Nifti1Image(codes, affine), path)


def _write_lesion(path: Path, centre: tuple[float, float, float], radius: float) -> None:
    """A ball in MNI space at 2 mm, on a left-anterior-superior grid."""
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (90, -126, -72)
    grid = np.indices((91, 109, 91)).reshape(3, -1)
    points = affine[:3, :3] @ grid + affine[:3, 3:]
    inside = ((points - np.array(centre)[:, None]) ** 2).sum(axis=0) < radius**2
    nib.save(nib.Nifti1Image(inside.reshape(91, 109, 91).astype(np.uint8), affine), path)


@pytest.fixture
def sources(tmp_path) -> tuple[Path, Path]:
    """Folders of four heads and twelve lesions."""
    heads, masks = tmp_path / "heads", tmp_path / "masks"
    heads.mkdir()
    masks.mkdir()
    for i in range(4):
        _write_head(heads / f"head{i}.nii.gz", 1.0 + 0.02 * i)
    for i in range(12):
        _write_lesion(masks / f"lesion{i:02d}.nii.gz", (30.0, -40.0 + 5 * i, 15.0), 6.0 + i)
    return heads, masks
