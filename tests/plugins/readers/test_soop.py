"""SOOP by its published layout: the acute mask counts."""

from __future__ import annotations

import numpy as np

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.importing.transfer import ImportSettings
from strokereg.core.cohort.open import read_source
from strokereg.core.scan.nifti import read_volume, write_volume


def test_the_acute_mask_is_used(touch):
    masks = "derivatives/lesion_masks/sub-{0}/dwi/sub-{0}_space-TRACE_desc-{1}_mask.nii.gz"
    root = touch(
        "dataset_description.json",
        *(f"sub-{n}/dwi/sub-{n}_rec-{kind}_dwi.nii.gz" for n in (1, 2) for kind in ("TRACE", "ADC")),
        "sub-1/anat/sub-1_FLAIR.nii.gz",
        *(masks.format(1, kind) for kind in ("lesion", "lesionAcute", "lesionChronic")),
        masks.format(2, "lesion"),
        dataset_description_json="{}",
    )
    for kind in ("lesion", "lesionAcute", "lesionChronic"):
        (root / masks.format(1, kind)).write_text(kind)
    reader, source = read_source(root)
    assert (reader, source.left_out) == ("soop", {})
    first, second = source.cases
    assert list(first.images) == ["dwi", "FLAIR", "adc"]
    assert first.mask == root / masks.format(1, "lesionAcute")
    assert second.mask == root / masks.format(2, "lesion")


def test_real_slices_in_its_layout_are_imported(flair_cohort, tmp_path):
    """A slice of SOOP under the names of the whole data set; its trace and ADC images are made from the FLAIR."""
    case = open_cohort(flair_cohort).cases[0]
    flair, acute = read_volume(case.images["FLAIR"]), read_volume(case.mask)
    both = np.maximum(acute.data, np.roll(acute.data, 9, axis=0))
    subject, masks = tmp_path / "source/sub-1", tmp_path / "source/derivatives/lesion_masks/sub-1/dwi"
    for folder in (subject / "dwi", subject / "anat", masks):
        folder.mkdir(parents=True)
    (tmp_path / "source/dataset_description.json").write_text("{}")
    bright = flair.data / flair.data.max()
    for path, data in (
        (subject / "anat/sub-1_FLAIR.nii.gz", flair.data),
        (subject / "dwi/sub-1_rec-TRACE_dwi.nii.gz", 900 * bright),
        (subject / "dwi/sub-1_rec-ADC_dwi.nii.gz", 1.5 * bright),
        (masks / "sub-1_space-TRACE_desc-lesionAcute_mask.nii.gz", acute.data.astype(np.uint8)),
        (masks / "sub-1_space-TRACE_desc-lesion_mask.nii.gz", both.astype(np.uint8)),
    ):
        write_volume(path, data, flair.affine)
    settings = ImportSettings("soop", channels=("dwi", "adc", "FLAIR"))
    imported = import_data(tmp_path / "source", tmp_path / "cohort", settings)
    assert imported.left_out == {}
    [files] = open_cohort(tmp_path / "cohort").cases
    assert set(files.images) == {"dwi", "adc", "FLAIR"}
    assert np.array_equal(read_volume(files.mask).data, acute.data)
