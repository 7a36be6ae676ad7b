"""What an imported cohort says about its source, and the split that comes along."""

from __future__ import annotations

import shutil

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing.describe import describe_import
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.importing.transfer import ImportSettings
from strokereg.core.cohort.split import Split


def test_a_damaged_description_of_the_source_is_passed_over(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{")
    said = describe_import(tmp_path, ImportSettings("bids"))
    assert [maker["Name"] for maker in said["GeneratedBy"]] == ["strokereg data import"]
    assert said["SourceDatasets"] == [{"URL": tmp_path.resolve().as_uri()}]


def test_a_simulated_cohort_stays_one_and_keeps_its_split(phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "simulated")
    (root / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "strokereg data simulate"}]}')
    Split(("sub-02",), ("sub-01",), ("sub-03",)).write(root / "split.tsv")
    assert import_data(root, tmp_path / "out").left_out == {}
    cohort = open_cohort(tmp_path / "out")
    assert cohort.simulated
    assert cohort.split == Split(("sub-02",), ("sub-01",), ("sub-03",))
    (root / "sub-02" / "dwi" / "sub-02_dwi.nii.gz").write_bytes(b"")
    done = import_data(root, tmp_path / "fewer")
    assert done.left_out["split.tsv"] == "names sub-02, which was not imported; import it, or write a new split"
    assert open_cohort(tmp_path / "fewer").split is None
