"""A case is inspected once, and found again by the content of its files."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from strokereg.core.cohort.checks import inspect as module
from strokereg.core.cohort.checks.inspect import inspect_case, inspect_cases
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.cohort.labels import TISSUES


@pytest.fixture
def counted(monkeypatch):
    """Names of the cases that are read."""
    read, real = [], module.inspect_case
    monkeypatch.setattr(module, "inspect_case", lambda files, table: read.append(files.name) or real(files, table))
    return read


def test_a_case_has_findings_fingerprints_and_a_volume(phantom):
    cohort = open_cohort(phantom)
    found = inspect_case(cohort.cases[0], TISSUES)
    assert [finding.rule for finding in found.findings] == ["adc_unit"]  # the phantom's ADC is in 10⁻⁶ mm²/s
    assert set(found.fingerprints) == {"image", "lesion mask"}
    assert found.lesion_ml > 1


def test_the_same_content_is_read_once_under_any_name(phantom, tmp_path, counted):
    cases = open_cohort(shutil.copytree(phantom, tmp_path / "cohort")).cases
    keys = content_keys(cases, tmp_path)
    done = []
    first = inspect_cases(cases, TISSUES, keys, tmp_path / "checks", done.append)
    assert sorted(done) == [1, 2, 3]
    assert inspect_cases(cases, TISSUES, keys, tmp_path / "checks") == first
    assert len(counted) == 3
    renamed = [replace(case, name=f"{case.name}_ses-1") for case in cases]
    again = inspect_cases(renamed, TISSUES, {f"{name}_ses-1": key for name, key in keys.items()}, tmp_path / "checks")
    assert len(counted) == 3
    assert [finding.case for finding in again[0].findings] == ["sub-01_ses-1"]


def test_another_table_or_no_key_is_read_again(phantom, tmp_path, counted):
    cases = open_cohort(phantom).cases[:1]
    keys = content_keys(cases, tmp_path)
    for table, known in ((TISSUES, keys), (None, keys), (None, {}), (None, {})):
        inspect_cases(cases, table, known, tmp_path / "checks")
    assert len(counted) == 4


def test_an_unreadable_part_is_a_finding(phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "cohort")
    case = open_cohort(root).cases[0]
    case.mask.write_bytes(b"no mask")
    found = inspect_case(case)
    assert ("readable", "mask") in [(finding.rule, finding.part) for finding in found.findings]
    assert found.lesion_ml is None
