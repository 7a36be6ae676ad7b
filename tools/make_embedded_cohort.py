"""Choose the embedded cohort and its mask library from SOOP FLAIR slices, and pack them into the package.

Usage: python tools/make_embedded_cohort.py ../shared/data/soop_flair

Cases that `strokereg data check` warns about are left out, as are lesions below 50 mm². The others are drawn by subject
with a fixed seed: 50 for training, 30 for validation, 220 for test, and 300 whose masks make the library. The label
maps are those of `strokereg data label`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.checks.check import check_data
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.embedded import ARCHIVE, PARTS, pack
from strokereg.core.tissue.classes import classify_mixture
from strokereg.core.tissue.scan import take_scan

_SMALLEST = 50  # mm²
_SEED = 20241
_HEIGHT = 18.0  # MNI z in mm of every slice


def main(folder: str) -> None:
    """Write the archive of the package from an imported cohort."""
    cohort = open_cohort(Path(folder))
    faulty = {finding.case for finding in check_data(cohort.root).findings if finding.case}
    images, names = [], []
    for files in cohort.cases:
        if files.name in faulty:
            print(f"{files.name}: left out, see strokereg data check", file=sys.stderr)
            continue
        case = read_case(files)
        if case.reference.data.shape[2] != 1 or case.reference.affine[2, 3] != _HEIGHT:
            raise SystemExit(f"{case.reference.path}: is not a slice at z = {_HEIGHT:g} mm")
        if case.mask is not None and case.mask.sum() * case.reference.voxel_ml * 1000.0 >= _SMALLEST:
            images.append(case)
            names.append(files.subject)
    order = np.random.default_rng(_SEED).permutation(np.argsort(names))
    counts = np.cumsum(list(PARTS.values()))
    if len(order) < counts[-1]:
        raise SystemExit(f"{folder}: {len(order)} cases can be used, {counts[-1]} are needed")
    chosen = [images[i] for i in order[: counts[-1]]]
    labels = []
    for case in chosen[: counts[-2]]:
        scan = take_scan(case)
        labels.append(scan.restore(classify_mixture(scan))[:, :, 0])
    volumes = [case.reference for case in chosen]
    pack(
        ARCHIVE,
        [names[i] for i in order[: counts[-1]]],
        np.stack([volume.data[:, :, 0] for volume in volumes[: counts[-2]]]).astype(np.uint8),
        np.stack([case.mask[:, :, 0] for case in chosen]),
        np.stack(labels),
        volumes[0].affine,
    )
    print(
        f"{ARCHIVE}: {counts[-2]} patients and {counts[-1] - counts[-2]} masks, {ARCHIVE.stat().st_size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main(sys.argv[1])
