"""Files of a simulated cohort: a subject is complete once its sidecar is there."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.simulate.anatomy import load_anatomy
from strokereg.core.simulate.folder import read_facts, summarise, write_subject
from strokereg.core.simulate.subject import simulate_subject


def test_a_subject_is_written_with_what_is_known_of_it(tmp_path, grid):
    subject = simulate_subject(np.random.default_rng(0), load_anatomy(None), 10.0, **grid)
    assert read_facts(tmp_path, "sub-0001") is None
    write_subject(tmp_path, "sub-0001", subject)
    assert read_facts(tmp_path, "sub-0001") == subject.facts()
    raw, derived = tmp_path / "sub-0001/dwi", tmp_path / "derivatives/strokereg/sub-0001/dwi"
    assert sorted(path.name.removeprefix("sub-0001_") for path in (*raw.iterdir(), *derived.iterdir())) == [
        "adc.nii.gz",
        "desc-lesion_mask.nii.gz",
        "desc-reader2_mask.nii.gz",
        "dseg.nii.gz",
        "dwi.bval",
        "dwi.bvec",
        "dwi.json",
        "dwi.nii.gz",
    ]
    mask = nib.load(derived / "sub-0001_desc-lesion_mask.nii.gz")
    assert np.array_equal(np.asarray(mask.dataobj) > 0, subject.lesion)
    np.testing.assert_allclose(mask.affine, subject.affine, atol=1e-5)


def test_the_tables_are_those_of_a_cohort(cohort):
    rows = (cohort / "participants.tsv").read_text().splitlines()
    assert rows[0].split("\t") == [
        "participant_id",
        "lesion_ml",
        "dwi_ratio",
        "adc_ratio",
        "reader_dice",
        "anatomy",
        "lesion",
    ]
    assert len(rows) == 11
    assert set(json.loads((cohort / "participants.json").read_text())) == set(rows[0].split("\t")[1:])
    assert (cohort / "README").read_text().startswith("Simulated, not clinical.")
    assert (cohort / "derivatives/strokereg/dseg.tsv").is_file()


def test_summary_is_that_of_the_files(cohort):
    summary = summarise(cohort)
    volumes = []
    for path in cohort.rglob("*_desc-lesion_mask.nii.gz"):
        volumes.append(np.asarray(nib.load(path).dataobj).sum() * 4.0**3 / 1000)
    assert summary["cases"] == 10
    assert summary["median_lesion_ml"] == pytest.approx(np.median(volumes), abs=0.01)
    assert summary["path"] == str(cohort)
