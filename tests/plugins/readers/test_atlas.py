"""ATLAS v2.0 by its published layout, with real slices in it."""

from __future__ import annotations

import shutil

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.open import read_source

STEM = "sub-r001s00{0}/ses-1/anat/sub-r001s00{0}_ses-1_space-MNI152NLin2009aSym_{1}.nii.gz"
MASK = "label-L_desc-T1lesion_mask"


def test_the_published_layout(t1w_cohort, tmp_path):
    root = tmp_path / "ATLAS_2" / "Training" / "R001"
    for number, case in enumerate(open_cohort(t1w_cohort).cases[:3], start=1):
        for source, kind in ((case.images["T1w"], "T1w"), (case.mask, MASK)):
            target = root / STEM.format(number, kind)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    shutil.copy(root / STEM.format(1, MASK), root / STEM.format(1, "label-R_desc-T1lesion_mask"))
    for folder in (root, root.parent, root.parents[1]):
        reader, source = read_source(folder)
        assert (reader, len(source.cases), source.left_out) == ("atlas", 3, {})
        assert source.cases[0].mask.name.endswith(f"{MASK}.nii.gz")
    done = import_data(root.parent, tmp_path / "out")
    assert (done.reader, done.left_out, done.warnings) == ("atlas", {}, ())
    case = open_cohort(tmp_path / "out").cases[0]
    assert (case.name, case.first) == ("sub-r001s001_ses-1", "T1w")
    place = "sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym"
    assert case.images["T1w"] == tmp_path / "out" / f"{place}_T1w.nii.gz"
    assert case.mask.read_bytes() == (root / STEM.format(1, MASK)).read_bytes()


def test_two_masks_and_a_mask_alone(touch):
    root = touch(
        *("Training/R1/" + STEM.format(1, kind) for kind in ("T1w", MASK, f"run-2_{MASK}")),
        "Training/R1/" + STEM.format(2, MASK),
    )
    left_out = read_source(root, "atlas")[1].left_out
    assert "has 2 lesion masks" in left_out["sub-r001s001_ses-1"]
    assert list(left_out.values())[1] == "has no T1w image; download the images of this case"
