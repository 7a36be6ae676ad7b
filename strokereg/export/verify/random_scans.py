"""Random scans from a seed, on typical grids. No torch and no onnxscript here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from strokereg.core.scan.nifti import Volume
from strokereg.export.metadata import Bundle

SEED = 21
_SHORT = 12  # voxels of the network grid along a brain's short axes, so that a check is fast


def random_scans(bundle: Bundle, seed: int = SEED) -> list[list[Volume]]:
    """Two scans of a textured ellipsoid with a lesion in it, one volume a channel each.

    The first has another order of axes, one of them reversed, a rotation, and spacings finer and coarser than the
    network's. The second has standard axes and is longer than a window of the network.
    """
    rng = np.random.RandomState(seed)
    spacing = np.array(bundle.preparation.spacing)
    window = np.array((*bundle.preparation.size[: 3 - bundle.dims], *bundle.size)[-3:])[::-1]
    brain = np.minimum(window, _SHORT) * spacing  # mm along R, A, S
    turn = _rotation(0.3) @ np.eye(3)[:, [2, 0, 1]] @ np.diag([1.0, -1.0, 1.0])
    turned = _scan(brain[[2, 0, 1]], spacing[[2, 0, 1]] * (0.55, 1.0, 1.3), turn, len(bundle.channels), rng)
    long = brain.copy()
    long[1] = 1.3 * window[1] * spacing[1]
    return [turned, _scan(long, spacing, np.eye(3), len(bundle.channels), rng)]


def _scan(
    brain: np.ndarray, spacing: np.ndarray, turn: np.ndarray, channels: int, rng: np.random.RandomState
) -> list[Volume]:
    """An ellipsoid with axes `brain` (mm) along the scan's axes, in a margin of nothing."""
    shape = [int(edge) for edge in np.ceil(brain / spacing) + 5]
    places = np.meshgrid(*((np.arange(n) - (n - 1) / 2) for n in shape), indexing="ij")
    shares = [place * step / (edge / 2) for place, step, edge in zip(places, spacing, brain, strict=True)]
    inside = sum(share**2 for share in shares) < 1.0
    lesion = sum((share - 0.2) ** 2 for share in shares) < 0.12
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * spacing, (11.0, -7.5, 30.25)
    volumes = []
    for number in range(channels):
        texture = rng.gamma(4.0, 30.0, shape)
        for axis in range(3):
            texture = (texture + np.roll(texture, 1, axis)) / 2.0
        # A lesion is bright in DWI and dark in the second channel, an ADC map.
        texture = texture * np.where(lesion, 0.5 if number else 1.9, 1.0)
        data = np.where(inside, texture, 0.0).astype(np.float32)
        volumes.append(Volume(data, affine, Path(f"random-{number}")))
    return volumes


def _rotation(angle: float) -> np.ndarray:
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def feeds(scans: list[Volume]) -> dict[str, np.ndarray]:
    """The inputs of a whole-scan graph."""
    return {"scan": np.stack([scan.data for scan in scans]), "affine": scans[0].affine}
