"""A scan as it comes from other scanners: the same brain on other grids."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

Copy = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _flipped(data, affine):
    step = np.diag([-1.0, 1.0, -1.0, 1.0])
    step[[0, 2], 3] = [data.shape[0] - 1, data.shape[2] - 1]
    return data[::-1, :, ::-1], affine @ step


def _oblique(data, affine):
    angle = np.deg2rad(18)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:3, 3] = [11.0, -7.5, 30.25]
    return data, turn @ affine


_COPIES: dict[str, Copy] = {
    "same": lambda data, affine: (data, affine),
    "flipped": _flipped,
    "permuted": lambda data, affine: (data.transpose(2, 0, 1), affine[:, [2, 0, 1, 3]]),
    "oblique": _oblique,
    "anisotropic": lambda data, affine: (data[:, :, ::2], affine @ np.diag([1.0, 1.0, 2.0, 1.0])),
}


@pytest.fixture(scope="session")
def copies() -> dict[str, Copy]:
    """Name → a function of voxels and affine: `same`, `flipped`, `permuted`, `oblique`, `anisotropic`."""
    return _COPIES
