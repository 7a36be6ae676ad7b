"""Tissue classes of a scan by a Gaussian mixture, a hidden Markov random field, k-means, or the atlas alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from strokereg.core.simulate.anatomy import CORTEX, CSF, DEEP, LESION, VENTRICLE, WHITE
from strokereg.core.tissue import Method
from strokereg.core.tissue.atlas import (
    SLAB_MM,
    align,
    map_by_extent,
    map_from_mni,
    maps_of_slab,
    place_shares,
    share_outside,
)
from strokereg.core.tissue.field import Field
from strokereg.core.tissue.mixture import fit, smooth
from strokereg.core.tissue.plausible import CORTEX_TO_WHITE, cortex_to_white
from strokereg.core.tissue.scan import BrainScan

TISSUES = (CSF, VENTRICLE, CORTEX, DEEP, WHITE)  # rows of shares, beliefs and likelihoods
_ROUNDS = (6, 10)  # of the field, before and after the atlas is aligned to its result
_FLUID_ADC = 1.4  # 10⁻³ mm²/s, between parenchyma and fluid
_FLUID_DWI = 0.6  # of the brain's median, between fluid and parenchyma
_DOUBT = 0.05  # weight of a tissue that the first look at the intensities rules out
_ASTRAY = 0.3  # mean share of background in a brain that is not where its header says
_CORTEX_MM = 2.5  # how thick cortex is
_MIXED_ADC = (1.4, 1.3, 1.2, 1.1, 1.0)  # 10⁻³ mm²/s, above which cortex holds fluid of a narrow sulcus
_ATLAS_SAY, _ENOUGH = 0.25, 1.05  # least cortex over white: in the atlas beside a sulcus, and in a brain


def classify_mixture(scan: BrainScan) -> np.ndarray:
    """Tissue labels by the intensities of the first channel and location, whatever the contrast.

    A scan in MNI space takes the atlas as it lies there. Otherwise an affine map is found: from the brain's extent, or
    for a slab from the height at which the atlas explains it best.
    """
    values, used = scan.channels[0][scan.brain], scan.fitted[scan.brain]
    matrix = mni_map(scan)
    if matrix is None:
        slab = scan.brain.shape[2] * scan.spacing[2] < SLAB_MM
        maps = maps_of_slab(scan.brain, scan.spacing) if slab else [map_by_extent(scan.brain)]
        found = [fit(values, place_shares(one, scan.brain), used) for one in maps]
        best = int(np.argmax([mixture.evidence for mixture in found]))
        matrix = align(maps[best], scan.brain, np.where(used, found[best].density, 1.0), scan.spacing)
    mixture = fit(values, place_shares(matrix, scan.brain), used)
    return _as_labels(scan, smooth(mixture.belief, scan.brain, scan.spacing))


def classify_hmrf(scan: BrainScan) -> np.ndarray:
    """Tissue labels by intensities, neighbours and location: uint8 [X, Y, Z], lesion included."""
    matrix = _first_map(scan)
    shares = place_shares(matrix, scan.brain)
    fluid = _looks_fluid(scan)[scan.brain]
    first = shares * _doubted(np.stack([fluid] * 2 + [~fluid] * 3))
    field = Field(scan, (first / first.sum(axis=0)).astype(np.float32))
    field.run(shares, _ROUNDS[0])
    matrix = align(matrix, scan.brain, field.likelihood(), scan.spacing)
    shares = place_shares(matrix, scan.brain)
    field.run(shares, _ROUNDS[1])
    labels = _as_labels(scan, field.final_belief())
    return _line_sulci(scan, labels, shares) if len(scan.channels) == 2 else labels


def classify_kmeans(scan: BrainScan) -> np.ndarray:
    """Tissue labels by three clusters of intensity; location divides fluid and grey matter in two each."""
    from sklearn.cluster import KMeans

    values = scan.channels[:, scan.brain].T
    used = scan.fitted[scan.brain]
    spread = values[used].std(axis=0)
    found = KMeans(3, n_init=4, random_state=0).fit(values[used] / spread)
    centres = found.cluster_centers_
    fluid = int(centres[:, 1].argmax() if values.shape[1] == 2 else centres[:, 0].argmin())
    grey = max(set(range(3)) - {fluid}, key=lambda cluster: centres[cluster, 0])
    cluster = found.predict(values / spread)
    white = (cluster != fluid) & (cluster != grey)
    # The intensities of deep nuclei lie between those of cortex and white matter, so location alone identifies them.
    seen = np.stack([cluster == fluid] * 2 + [cluster == grey, cluster != fluid, white])
    matrix = align(_first_map(scan), scan.brain, np.where(used, _doubted(seen), 1.0), scan.spacing)
    return _as_labels(scan, place_shares(matrix, scan.brain) * seen)


def classify_atlas(scan: BrainScan) -> np.ndarray:
    """Tissue labels by location alone: the most frequent tissue there, in MNI space or by the brain's extent."""
    return _as_labels(scan, place_shares(_first_map(scan), scan.brain))


#: The classifier of each method that needs no map of another tool.
CLASSIFIERS: dict[Method, Callable[[BrainScan], np.ndarray]] = {
    Method.MIXTURE: classify_mixture,
    Method.HMRF: classify_hmrf,
    Method.KMEANS: classify_kmeans,
    Method.ATLAS: classify_atlas,
}


def _line_sulci(scan: BrainScan, labels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Turn white matter near a sulcus or the brain's border into cortex, where the atlas finds cortex more likely.

    Near means within the thickness of cortex. A voxel of 2 mm is seldom cortex alone there, and mixed ones look white.
    A brain whose cortex is still too small for its white matter has sulci too narrow to be labelled fluid, and lies
    unlike the atlas. Then cortex of fast diffusion counts as sulcus too, more of it until there is cortex enough, and
    the atlas has less say.
    """
    found = _lined(scan, labels, shares, labels == CSF, 1.0)
    if scan.brain.shape[2] * scan.spacing[2] < SLAB_MM or cortex_to_white(found) >= CORTEX_TO_WHITE[0]:
        return found
    for adc in _MIXED_ADC:
        sulci = (labels == CSF) | ((labels == CORTEX) & (scan.channels[1] > adc))
        found = _lined(scan, labels, shares, sulci, _ATLAS_SAY)
        if cortex_to_white(found) >= _ENOUGH:
            break
    return found


def _lined(scan: BrainScan, labels: np.ndarray, shares: np.ndarray, sulci: np.ndarray, say: float) -> np.ndarray:
    """The labels with cortex along sulci, where its share in the atlas is `say` times that of white matter or more."""
    outer = np.zeros(scan.brain.shape, dtype=bool)
    outer[scan.brain] = shares[TISSUES.index(CORTEX)] > say * shares[TISSUES.index(WHITE)]
    inner = np.pad(~sulci & scan.brain, 1)  # the scan is cropped to the brain: beyond it is outside
    near = ndimage.distance_transform_edt(inner, sampling=scan.spacing)[1:-1, 1:-1, 1:-1] <= _CORTEX_MM
    return np.where(near & outer & (labels == WHITE), CORTEX, labels).astype(np.uint8)


def mni_map(scan: BrainScan) -> np.ndarray | None:
    """Map from scan to atlas voxels of a scan in MNI space; None for others, and where the brain is elsewhere."""
    if scan.to_mni is None:
        return None
    matrix = map_from_mni(scan.to_mni)
    return matrix if share_outside(matrix, scan.brain) < _ASTRAY else None


def _first_map(scan: BrainScan) -> np.ndarray:
    """Map from scan to atlas voxels: by MNI space, or by the extent of what looks like parenchyma."""
    matrix = mni_map(scan)
    return map_by_extent(scan.brain & ~_looks_fluid(scan)) if matrix is None else matrix


def _looks_fluid(scan: BrainScan) -> np.ndarray:
    """First estimate of fluid in diffusion images, bool [X, Y, Z]: fast diffusion, or without ADC a dark DWI."""
    return scan.channels[1] > _FLUID_ADC if len(scan.channels) == 2 else scan.channels[0] < np.log(_FLUID_DWI)


def _doubted(seen: np.ndarray) -> np.ndarray:
    return np.where(seen, 1.0, _DOUBT)


def _as_labels(scan: BrainScan, belief: np.ndarray) -> np.ndarray:
    labels = np.zeros(scan.brain.shape, dtype=np.uint8)
    labels[scan.brain] = np.array(TISSUES, dtype=np.uint8)[belief.argmax(axis=0)]
    labels[scan.lesion] = LESION
    return labels
