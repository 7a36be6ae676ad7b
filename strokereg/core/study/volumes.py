"""Whole scans for the report's viewer: read again from their files, with what each arm's segmenter called on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.report import ViewerScan
from strokereg.core.study.context import StudyContext
from strokereg.core.study.pictures import Examples, white
from strokereg.core.study.plan import Plan
from strokereg.core.study.tasks import KEPT, turned, whole_name

_PARTS = {"cases": "test case", "external": "external case"}


def gather_volumes(context: StudyContext, plan: Plan, examples: Examples) -> list[ViewerScan]:
    """The scans of which predictions were kept; none of a study whose tasks kept none.

    Args:
        examples: task key → name → array, as the tasks left them.
    """
    first = {f"{arm.name} ({arm.cases})": examples.get(arm.segmenters[0].key, {}) for arm in plan.arms}
    found = []
    for part, files in (("cases", context.dataset.test_files), ("external", context.external)):
        for case in files[: KEPT[part]]:
            kept = {
                arm: planes[name] for arm, planes in first.items() if (name := whole_name(part, case.name)) in planes
            }
            if kept:
                found.append(_volume(context, case, part, kept))
    return found


def _volume(context: StudyContext, files: CaseFiles, part: str, kept: Mapping[str, np.ndarray]) -> ViewerScan:
    case = read_case(files, context.dataset.preparation.channels)
    assert case.mask is not None  # it was evaluated against
    image, truth = (turned(volume, case.dwi.affine) for volume in (case.dwi.data, case.mask))
    spacing = np.abs(nib.affines.voxel_sizes(case.dwi.affine))[_order(case.dwi.affine)]
    return ViewerScan(
        title=files.name,
        part=_PARTS[part],
        image=image,
        white=white(image),
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        truth=truth,
        called={arm: _unpack(bits, truth.shape) for arm, bits in kept.items()},
    )


def _order(affine: np.ndarray) -> np.ndarray:
    """Which stored axis runs along R, A and S."""
    return np.argsort(nib.orientations.io_orientation(affine)[:, 0])


def _unpack(bits: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return np.unpackbits(bits, count=int(np.prod(shape))).astype(bool).reshape(shape)
