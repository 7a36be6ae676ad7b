"""Choose the patients of the study in docs/results/soop_flair and write its split.

Usage: python tools/make_study_split.py cohorts/flair docs/results/soop_flair/split.tsv

The cohort is an import of SOOP FLAIR. Patients whom `strokereg data check` warns about are left out, as are those with
less than 50 mm² of lesion. Training and validation cases of the embedded cohort keep their part, so settings that were
chosen on them have seen no test case. 250 patients of the embedded mask library complete the training part; everybody
else is a test case.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.checks.check import check_data
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.embedded import ARCHIVE, PARTS
from strokereg.core.cohort.split import Split

_SMALLEST = 50  # mm²
_TRAIN = 300


def main(folder: str, out: str) -> None:
    """Write the split of an imported cohort."""
    cohort = open_cohort(Path(folder))
    faulty = {finding.case for finding in check_data(cohort.root).findings if finding.case}
    large = []
    for files in cohort.cases:
        case = read_case(files)
        area = 0.0 if case.mask is None else case.mask.sum() * case.reference.voxel_ml * 1000.0
        if files.name not in faulty and area >= _SMALLEST:
            large.append(files.subject)
    with np.load(ARCHIVE, allow_pickle=False) as archive:
        names = [str(name) for name in archive["subjects"]]
    parts = dict(zip(PARTS, np.split(np.array(names), np.cumsum(list(PARTS.values()))[:-1]), strict=True))
    train = [*parts["train"], *parts["masks"]][:_TRAIN]
    kept = {*train, *parts["val"]}
    test = sorted(name for name in large if name not in kept)
    Split(tuple(map(str, train)), tuple(map(str, parts["val"])), tuple(test)).write(Path(out))
    print(f"{out}: {len(train)} training, {len(parts['val'])} validation and {len(test)} test patients")


if __name__ == "__main__":
    main(*sys.argv[1:])
