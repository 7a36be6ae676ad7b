"""The parts of cases that image measures use: slices that show enough brain, or volumes around the lesion."""

from __future__ import annotations

import numpy as np

from strokereg.core.evaluate.image_quality import View
from strokereg.core.train.prepared import PreparedCase
from strokereg.core.train.sampler import cut
from strokereg.registry.problem import Problem

_BRAIN_SHARE = 0.2  # a slice is used if it shows at least this share of the brain area of the largest slice


def view_case(case: PreparedCase, problem: Problem) -> View:
    """All slices of a case that show enough brain, or the volume around the middle of its lesion."""
    image, labels = case.image, np.asarray(case.labels)
    if problem.dims == 3:
        with_lesion = np.argwhere(labels == case.lesion)
        centre = tuple(int(i) for i in (with_lesion if len(with_lesion) else np.argwhere(labels)).mean(0).round())
        image, labels = cut(image, labels, centre, problem.size)
        return View(labels[None], image[None])
    area = (labels > 0).sum(axis=(1, 2))
    chosen = np.flatnonzero(area >= max(1, _BRAIN_SHARE * area.max()))
    parts = [cut(image[:, z], labels[z], (), problem.size) for z in chosen]
    return View(np.stack([part[1] for part in parts]), np.stack([part[0] for part in parts]))
