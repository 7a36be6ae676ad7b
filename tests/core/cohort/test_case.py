"""A case: its parts are read together and must fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from strokereg.core.cohort.case import CaseFiles, check_labels, check_mask, label_map, read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.labels import BRAIN, TISSUES
from strokereg.core.scan.nifti import Volume
from strokereg.registry.errors import FileFault, InputError


def test_a_missing_contrast_is_named(phantom):
    files = open_cohort(phantom).cases[0]
    with pytest.raises(InputError, match="has no FLAIR image, but dwi and adc; add it or leave FLAIR out"):
        read_case(files, ("dwi", "flair"))


def test_the_first_contrast_defines_the_grid(phantom):
    files = open_cohort(phantom).cases[0]
    assert read_case(files, ("adc",)).reference.path == files.images["adc"]
    assert list(read_case(files).images) == ["dwi"]


def test_contrasts_are_written_as_bids_has_them_and_an_adc_map_comes_last():
    files = CaseFiles("sub-1", "sub-1", {"ADC": Path("a.nii"), "flair": Path("f.nii")}, volumes={"Flair": 1})
    assert (list(files.images), files.first, files.volumes) == (["FLAIR", "adc"], "FLAIR", {"FLAIR": 1})


def test_parts_are_the_files_that_exist():
    images = {"dwi": Path("dwi.nii"), "adc": Path("adc.nii")}
    assert CaseFiles("sub-1", "sub-1", images).parts == images
    assert CaseFiles("sub-1", "sub-1", images, mask=Path("m.nii")).parts == {**images, "mask": Path("m.nii")}


def test_labels_hold_the_lesion_on_top(phantom):
    cohort = open_cohort(phantom)
    case = read_case(cohort.cases[0], ("dwi", "adc"), cohort.table)
    assert np.array_equal(case.labels == cohort.table.lesion, case.mask)
    assert read_case(cohort.cases[0]).labels is None
    assert case.reference is case.images["dwi"]


def test_without_a_label_map_the_labels_are_brain_and_lesion(phantom):
    cohort = open_cohort(phantom)
    files = cohort.cases[0]
    mapped = read_case(files, table=cohort.table)
    assert label_map(mapped, cohort.table) is mapped.labels
    case = read_case(replace(files, dseg=None), table=BRAIN)
    labels = label_map(case, BRAIN)
    assert np.array_equal(labels == BRAIN.lesion, case.mask)
    assert np.mean((labels > 0) == (mapped.labels > 0)) > 0.99


def test_masks_and_label_maps_with_wrong_values_are_refused():
    grid = np.zeros((2, 2, 2), np.float32)
    check_mask(Volume(grid, np.eye(4), Path("mask.nii")))
    check_labels(Volume(grid + 6, np.eye(4), Path("dseg.nii")), TISSUES)
    with pytest.raises(FileFault, match=r"mask\.nii: a lesion mask holds 0 and 1 only, this one 2 …; threshold it"):
        check_mask(Volume(grid + 2, np.eye(4), Path("mask.nii")))
    with pytest.raises(FileFault, match="holds whole numbers only"):
        check_labels(Volume(grid + 0.5, np.eye(4), Path("dseg.nii")), TISSUES)
    with pytest.raises(FileFault, match="holds the label value 7"):
        check_labels(Volume(grid + 7, np.eye(4), Path("dseg.nii")), TISSUES)
