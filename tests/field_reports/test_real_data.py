"""Real data sets: a check and an import say what is there, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from strokereg.core.cohort.checks.check import check_data
from strokereg.core.cohort.importing.run import import_data

#: Subjects of SOOP: masks outside the brain, two patients under two names each, and one without a fault.
SOOP = ("0187", "0899", "1372", "0062", "0219", "1489", "1682", "0001")
ISLES = "sub-strokecase{}_ses-0001"
FAULTS = {
    "isles22": {(ISLES.format("0009"), "same_grid", "FLAIR")},
    "isles22_more": {(ISLES.format(number), "adc_unit", "adc") for number in ("0002", "0003")},
    "soop_flair": {
        *((f"sub-{number}", "lesion_in_brain", "mask") for number in SOOP[:3]),
        *((f"sub-{number}", "duplicates", "FLAIR") for number in ("0219", "1682")),
    },
    "dicom_xa30": {(f"vol{way}", "adc_unit", "adc") for way in ("AP", "PA")},
}
MISSING = {
    "isles22": ["tissue label map", "split.tsv"],
    "isles22_more": ["tissue label map", "split.tsv"],
    "soop_flair": ["tissue label map", "split.tsv"],
    "dicom_xa30": ["lesion mask", "tissue label map", "split.tsv"],
}


@pytest.fixture
def folder(request, real_data, tmp_path) -> Path:
    """A data set; of SOOP a few subjects."""
    name = request.param
    if not (real_data / name).is_dir():
        pytest.skip(f"no {name} in the real test data")
    if name == "dicom_xa30":
        pytest.importorskip("dcm2niix", reason="the extra 'dicom' is not installed")
    if name != "soop_flair":
        return real_data / name
    for path in (real_data / name).rglob("*"):
        below = path.relative_to(real_data / name)
        if path.is_file() and ("sub-" not in path.name or any(f"sub-{number}" in below.parts for number in SOOP)):
            (tmp_path / name / below).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / below).symlink_to(path.resolve())
    return tmp_path / name


@pytest.mark.parametrize("folder", FAULTS, indirect=True)
def test_findings_are_what_is_there(folder, tmp_path):
    checked = check_data(folder)
    about_cases = {(finding.case, finding.rule, finding.part) for finding in checked.findings if finding.case}
    assert about_cases == FAULTS[folder.name]
    rest = [finding for finding in checked.findings if not finding.case]
    assert checked.errors == []
    assert len(rest) == len(MISSING[folder.name])
    assert all(word in str(finding) for word, finding in zip(MISSING[folder.name], rest, strict=True))
    if folder.name == "isles22":
        (flair,) = (finding for finding in checked.findings if finding.case)
        assert flair.fix == "to use it, import with --channels dwi,FLAIR --resample"
    done = import_data(folder, tmp_path / "out")
    assert done.left_out == {}
    assert len(done.imported) == checked.cases
    # FLAIR of ISLES is not imported beside DWI, and one patient twice is no fault of a file.
    own = {rule for _, rule, _ in FAULTS[folder.name]} - {"same_grid", "duplicates"}
    own |= {"missing_parts"} if "lesion mask" in MISSING[folder.name] else set()
    assert {finding.rule for finding in done.warnings} == own
