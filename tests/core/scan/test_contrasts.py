"""Names of contrasts: one spelling each, and what file names say."""

from __future__ import annotations

from pathlib import Path

import pytest

from strokereg.core.scan.contrasts import (
    canonical,
    canonical_channels,
    contrast_of,
    folder_of,
    in_order,
    recognise,
    space_of,
    stem_of,
    suffix_of,
)
from strokereg.registry.errors import InputError


@pytest.mark.parametrize(("given", "name"), [("DWI", "dwi"), ("ADC", "adc"), ("flair", "FLAIR"), ("t1W", "T1w")])
def test_names_are_compared_without_case_and_written_as_bids_has_them(given, name):
    assert canonical(given) == name
    assert canonical_channels([given]) == (name,)


def test_an_unknown_or_repeated_contrast_or_none():
    with pytest.raises(InputError, match=r"no image contrast 'T1' \(did you mean T1w"):
        canonical("T1")
    with pytest.raises(InputError, match="names FLAIR twice"):
        canonical_channels(["FLAIR", "flair"])
    with pytest.raises(InputError, match="names no contrast"):
        canonical_channels([])


def test_what_a_file_name_says():
    path = Path("sub-01/anat/sub-01_space-MNI152NLin6Asym_flair.nii.gz")
    assert (contrast_of(path), suffix_of(path)) == ("FLAIR", "flair")
    assert stem_of(path) == "sub-01_space-MNI152NLin6Asym"
    assert space_of(path) == "space-MNI152NLin6Asym"
    other = Path("head_1.nii")
    assert (contrast_of(other), stem_of(other), space_of(other)) == (None, "head_1", None)
    assert contrast_of(Path("sub-01_dwi.json")) is None


def test_an_adc_map_comes_last_and_lies_beside_the_dwi():
    assert in_order(["T1w", "adc", "FLAIR", "dwi"]) == ["dwi", "FLAIR", "T1w", "adc"]
    assert [folder_of(name) for name in ("adc", "dwi", "T2w")] == ["dwi", "dwi", "anat"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sub-01_FLAIR.nii.gz", "FLAIR"),
        ("sub-1_ses-1_msk.nii.gz", "a mask"),
        ("sub-1_desc-lesion_mask.nii.gz", "a mask"),
        ("sub-1_dseg.nii.gz", "a label map"),
        ("sub-1_FA.nii.gz", "FA"),
        ("adc_patient1.nii.gz", "adc"),
        ("patient1-dwi-adc.nii.gz", "adc"),
        ("p1-t2-flair-ax.nii", "FLAIR"),
        ("dwi_on_flair_reg.nii.gz", None),
        ("sub-t1_x.nii.gz", None),
        ("scan.nii.gz", None),
    ],
)
def test_names_with_and_without_suffix(tmp_path, name, found):
    assert recognise(tmp_path / name) == (found, "name" if found else "")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"Modality": "MR", "ImageType": ["DERIVED", "DIFFUSION", "ADC"], "SeriesDescription": "DWI"}', "adc"),
        ('{"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "FA"], "SeriesDescription": "DWI"}', "FA"),
        ('{"Modality": "CT", "SeriesDescription": "head"}', "CT"),
        ('{"Modality": "MR", "ImageType": "ORIGINAL", "SeriesDescription": "ep2d_diff_3scan_trace"}', "dwi"),
    ],
)
def test_sidecars(tmp_path, content, found):
    (tmp_path / "scan_1.json").write_text(content)
    assert recognise(tmp_path / "scan_1.nii.gz") == (found, "sidecar")
    assert recognise(tmp_path / "scan_1_dwi.nii.gz") == ("dwi", "name")
