"""`carvemix`: carves a lesion with a margin of random width out of one case and puts it into another.

X. Zhang, C. Liu, N. Ou, X. Zeng, X. Xiong, Y. Yu, Z. Liu, C. Ye: CarveMix (MICCAI 2021, arXiv 2108.06883; extended in
NeuroImage 2023). The signed distance D of every voxel to the lesion's border is negative inside; D0 is its depth, the
largest distance inside. A level is drawn from U(-D0/2, 0) or U(0, D0), each with probability one half. Image and labels
of the voxels with D up to that level are copied from donor to host.
Departures: scans are not registered here, unlike in the paper. The carved piece is moved to the corresponding place in
the host by the extents of the two brains, and by whole voxels, which preserves its noise. Voxels that are not brain in
the donor or in the host keep the host's values.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field
from scipy import ndimage

from strokereg.core.roles import Sample
from strokereg.plugins.blocks.same_place import same_place
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem

_SMALLEST = 3  # fewest lesion voxels to copy into the host


class CarveMix:
    """Host and donor → the host with a piece of the donor in it."""

    class Options(Options):
        """Args:
        inner: how far the level can lie inside the lesion, as a share of its depth.
        outer: how far it can lie outside, as a share of the depth.
        """

        inner: float = Field(default=0.5, ge=0, lt=1)
        outer: float = Field(default=1.0, ge=0)

    def __init__(self, problem: Problem, options: Options):
        self.lesion, self.options = problem.lesion, options

    def mix(self, host: Sample, donor: Sample, rng: np.random.Generator) -> Sample | None:
        """The host with the donor's carved piece, or None if less than half of its lesion lies in the host's brain."""
        with_lesion = donor.labels == self.lesion
        if not with_lesion.any():
            return None
        carved = signed_distance(with_lesion)
        carved = carved <= self.level(-float(carved.min()), rng)
        source = np.argwhere(carved & (donor.labels > 0))
        middle = source.mean(axis=0)
        target = source + np.rint(same_place(middle, donor.labels, host.labels) - middle).astype(int)
        inside = ((target >= 0) & (target < host.labels.shape)).all(axis=1)
        inside[inside] = host.labels[tuple(target[inside].T)] > 0
        arrived = donor.labels[tuple(source[inside].T)]
        lost = np.count_nonzero(with_lesion & carved) - np.count_nonzero(arrived == self.lesion)
        if np.count_nonzero(arrived == self.lesion) < max(_SMALLEST, lost):
            return None
        image, labels = np.array(host.image), np.array(host.labels)
        there = tuple(target[inside].T)
        image[:, *there] = donor.image[:, *source[inside].T]
        labels[there] = arrived
        return replace(host, image=image, labels=labels)

    def level(self, depth: float, rng: np.random.Generator) -> float:
        """Draw the signed distance up to which voxels are carved (paper, equations 3 and 4)."""
        share = float(rng.random())
        return -self.options.inner * depth * share if rng.random() < 0.5 else self.options.outer * depth * share


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance to the border of a mask in voxels, negative inside."""
    return np.where(mask, -ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask))
