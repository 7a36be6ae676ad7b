"""Are the volumes of the tissues those of a brain? Faulty label maps are easy to see and easy to overlook."""

from __future__ import annotations

import numpy as np

from strokereg.core.simulate.anatomy import CORTEX, DEEP, WHITE
from strokereg.core.tissue.atlas import SLAB_MM

#: Cortex over white matter, cerebellum and brain stem included: 1.05 to 1.32 in the 15 label maps of SynthSeg
#: (Billot et al. 2023, doi:10.1016/j.media.2023.102789), whose tissue measures 0.8 to 1.4 litres.
CORTEX_TO_WHITE = (0.9, 1.5)
_TISSUE_ML = (600.0, 1800.0)


def cortex_to_white(labels: np.ndarray) -> float:
    """Volume of cortex over that of white matter, in a label map with the labels of the simulator."""
    cortex, white = (int(np.count_nonzero(labels == tissue)) for tissue in (CORTEX, WHITE))
    return cortex / max(white, 1)


def implausible(labels: np.ndarray, spacing: tuple[float, ...]) -> str | None:
    """What is unlike a brain in a label map; None if nothing is, or if the map does not show a whole brain.

    Args:
        labels: uint8 [X, Y, Z] with the labels of the simulator.
        spacing: voxel edges in mm.
    """
    edges = [count * edge for count, edge in zip(labels.shape, spacing, strict=True)]
    if min(edges) < SLAB_MM:
        return None
    ml = float(np.prod(spacing)) / 1000.0
    volumes = {tissue: np.count_nonzero(labels == tissue) * ml for tissue in (CORTEX, DEEP, WHITE)}
    total, ratio = sum(volumes.values()), cortex_to_white(labels)
    if not _TISSUE_ML[0] <= total <= _TISSUE_ML[1]:
        return f"grey and white matter measure {total:.0f} ml, but {_TISSUE_ML[0]:.0f} to {_TISSUE_ML[1]:.0f} in heads"
    if not CORTEX_TO_WHITE[0] <= ratio <= CORTEX_TO_WHITE[1]:
        low, high = CORTEX_TO_WHITE
        return (
            f"cortex measures {volumes[CORTEX]:.0f} ml and white matter {volumes[WHITE]:.0f} ml, a ratio of "
            f"{ratio:.2f}, but {low} to {high} in heads"
        )
    return None
