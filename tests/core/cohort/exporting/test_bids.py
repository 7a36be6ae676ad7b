"""A BIDS export is a cohort again."""

from __future__ import annotations

import csv
import shutil

from strokereg.core.cohort.checks.check import check_data
from strokereg.core.cohort.cohort import open_cohort, require_trainable
from strokereg.core.cohort.exporting import ExportFormat
from strokereg.core.cohort.exporting.choose import ExportSettings
from strokereg.core.cohort.exporting.run import export_data


def test_it_is_a_cohort_that_can_be_trained_on(mixed, small_cohort, added):
    root = mixed[ExportFormat.BIDS].folder
    made, cohort = open_cohort(root), open_cohort(small_cohort)
    require_trainable(made)
    assert [case.name for case in made.part("train")] == [*(c.name for c in cohort.part("train")[:2]), *added]
    assert (made.split.val, made.split.test) == (cohort.split.val, cohort.split.test)
    assert made.simulated  # as the cohort is that gives the test cases
    assert made.table == cohort.table
    assert check_data(root).errors == []
    for new, old in zip(made.part("test"), cohort.part("test"), strict=True):
        assert {part: path.read_bytes() for part, path in new.parts.items()} == {
            part: path.read_bytes() for part, path in old.parts.items()
        }


def test_participants_keep_their_columns_and_say_where_they_come_from(mixed, small_cohort, phantom, added):
    def rows(root):
        with (root / "participants.tsv").open(newline="") as handle:
            return {row["participant_id"]: row for row in csv.DictReader(handle, delimiter="\t")}

    known, made = rows(small_cohort), rows(mixed[ExportFormat.BIDS].folder)
    first = open_cohort(small_cohort).part("train")[0].subject
    assert made[first] == {**known[first], "cohort": small_cohort.name}
    assert made[added[0]] == {**dict.fromkeys(known[first], "n/a"), "participant_id": added[0], "cohort": phantom.name}


def test_sidecars_and_uncompressed_images_come_along(phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "lab")
    (root / "sub-01/dwi/sub-01_dwi.json").write_text('{"EchoTime": 0.09}')
    (root / "sub-01/dwi/sub-01_dwi.bval").write_text("1000")
    (root / "sub-02/dwi/sub-02_dwi.bval").write_text("0 1000")
    done = export_data(root, tmp_path / "out", ExportSettings(ExportFormat.BIDS, link=True))
    folder = done.folder / "sub-01/dwi"
    assert (folder / "sub-01_dwi.json").read_text() == '{"EchoTime": 0.09}'
    assert (folder / "sub-01_dwi.bval").read_text() == "1000"
    assert not list(done.folder.glob("sub-02/dwi/*.bval"))  # of a series, whose volumes are not all there
    assert (folder / "sub-01_dwi.nii.gz").stat().st_ino == (root / "sub-01/dwi/sub-01_dwi.nii.gz").stat().st_ino
    assert done.notes == ("the cohort has no split; write one with 'strokereg data split'",)
