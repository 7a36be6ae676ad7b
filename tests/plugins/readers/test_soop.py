"""SOOP by its published layout: the acute mask counts."""

from __future__ import annotations

from strokereg.core.cohort.open import read_source


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
