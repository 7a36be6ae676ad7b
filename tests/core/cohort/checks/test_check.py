"""Checks of a whole cohort: as a list of findings, and before a training."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest

from strokereg.core.cohort.checks.check import check_data, require_sound
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.cohort.split import Split
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.registry.errors import InputError


def about_case(checked):
    return [finding for finding in checked.findings if finding.case]


def test_an_empty_mask_is_counted_and_no_fault(real):
    real.save("mask", np.zeros_like(real.volumes["mask"]))
    real.save("dseg", np.where(real.volumes["dseg"] == 6, 5, real.volumes["dseg"]).astype(np.uint8))
    checked = check_data(real.root)
    assert checked.empty_masks == ("sub-01",)
    assert about_case(checked) == []


def test_the_split_and_the_table_are_part_of_the_list(real):
    split = real.root / "split.tsv"
    split.write_text("participant_id\tsplit\nsub-01\ttrain\nsub-01\ttest\n")
    [finding] = check_data(real.root).errors
    assert str(finding) == f"{split}: sub-01 is in train and in test; keep it in one of them"
    split.write_text("participant_id\tsplit\nsub-07\ttrain\n")
    assert "names sub-07, which has no image" in str(check_data(real.root).errors[0])
    (real.root / "derivatives" / "truth" / "dseg.tsv").unlink()
    assert "add the label table" in " ".join(map(str, check_data(real.root).warnings))


def test_subjects_that_the_split_leaves_out_are_named(real):
    for subject in ("sub-02", "sub-03"):
        real.save_case(subject, shade=float(subject[-1]))
    (real.root / "split.tsv").write_text("participant_id\tsplit\nsub-01\ttrain\n")
    [finding] = [finding for finding in check_data(real.root).warnings if finding.rule == "split"]
    assert finding.fault == "does not name sub-02 and 1 more"
    (real.root / "split.tsv").write_text("participant_id\tsplit\n1\ttrain\n")
    [finding] = check_data(real.root).errors
    assert finding.fix == "write sub-01"


def test_a_series_of_directions_is_offered_its_mean_as_in_an_import(real):
    dwi = real.volumes["dwi"]
    path = real.save("dwi", np.stack([3 * dwi, dwi, dwi, dwi], -1).astype(np.float32))
    bvalues = path.with_name("sub-01_dwi.bval")
    [finding] = [finding for finding in check_data(real.root).errors if finding.rule == "readable"]
    assert finding.fault.startswith("its shape is")
    bvalues.write_text("0 1000 995 1000")
    [finding] = [finding for finding in check_data(real.root).errors if finding.rule == "readable"]
    assert finding.fault == "holds 3 directions of b = 1000 s/mm²"
    assert finding.fix.startswith("import with --average-directions")


def test_missing_files_are_reported_once(real):
    for subject in ("sub-02", "sub-03"):
        real.save_case(subject, shade=float(subject[-1]))
        real.path("mask", subject).unlink()
    [finding] = [f for f in check_data(real.root).warnings if "lesion mask" in f.fault]
    assert finding.fault == "sub-02 and 1 more have no lesion mask"


def test_a_broken_link_is_reported(real):
    real.path("adc").unlink()
    real.path("adc").symlink_to(real.root / "annex" / "absent")
    [finding] = check_data(real.root).errors
    assert "is a link to a file that is not here; fetch it, for instance with 'datalad get'" in str(finding)


def test_progress_is_counted_and_the_result_is_plain(phantom):
    seen = []
    plain = check_data(phantom, lambda *counts: seen.append(counts)).plain()
    assert sorted(seen) == [(1, 3), (2, 3), (3, 3)]
    assert (plain["cases"], plain["errors"], plain["warnings"]) == (3, 0, 4)
    assert set(plain["findings"][0]) == {"level", "rule", "case", "part", "file", "fault", "fix"}


@pytest.fixture
def train_on(phantom, tmp_path):
    """A function that checks a copy of the phantom before a training, and that copy."""
    root = shutil.copytree(phantom, tmp_path / "cohort")
    Split(("sub-01",), ("sub-02",), ("sub-03",)).write(root / "split.tsv")

    def check(*channels):
        cohort = open_cohort(root)
        require_sound(cohort, cohort.cases, channels, content_keys(cohort.cases, tmp_path), tmp_path)

    return root, check


def test_before_a_training_warnings_are_logged(train_on, caplog):
    _, check = train_on
    with caplog.at_level(logging.WARNING):
        check("dwi")
    assert len(caplog.messages) == 3
    assert "is in 10⁻⁶ mm²/s" in caplog.messages[0]


def test_before_a_training_errors_stop_it_if_they_concern_it(train_on, caplog):
    root, check = train_on
    case = open_cohort(root).cases[0]
    adc = read_volume(case.images["adc"])
    write_volume(case.images["adc"], np.full_like(adc.data, 7), adc.affine)
    check("dwi")
    assert "every voxel is 7" in " ".join(caplog.messages)
    with pytest.raises(InputError, match="every voxel is 7; export the image again"):
        check("dwi", "adc")


def test_before_a_training_a_leak_stops_it(train_on):
    root, check = train_on
    first, _, third = open_cohort(root).cases
    dwi = read_volume(third.images["dwi"])
    write_volume(first.images["dwi"], 2 * dwi.data, dwi.affine)
    with pytest.raises(
        InputError, match="same image as sub-01, in train and in test; take one out: import again with --exclude sub-03"
    ):
        check("dwi")


def test_before_a_training_other_errors_are_counted(train_on):
    root, check = train_on
    for case in open_cohort(root).cases[:2]:
        mask = read_volume(case.mask)
        write_volume(case.mask, 2 * mask.data, mask.affine)
    with pytest.raises(InputError, match=r"sub-01: .*\(and 1 more: strokereg data check"):
        check("dwi")
