"""Imports: what is copied or left out, and what happens when one is cut short."""

from __future__ import annotations

import json
import shutil

import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing import run
from strokereg.core.cohort.importing.run import import_data
from strokereg.registry.errors import InputError


def listing(root):
    return {path.relative_to(root): path.stat().st_mtime_ns for path in root.rglob("*")}


def test_files_are_copied_byte_for_byte_and_described(bring, source, tmp_path):
    before = listing(source)
    told = []
    done = bring(source, tmp_path / "out", lambda *counts: told.append(counts))
    assert listing(source) == before
    assert done.imported == ("sub-Pat1", "sub-Pat2", "sub-Pat3")
    assert (done.left_out, done.warnings) == ({}, ())
    assert told[0] == (0, 3)
    assert told[-1] == (3, 3)
    cohort = open_cohort(tmp_path / "out")
    case = cohort.cases[0]
    assert case.images["dwi"].read_bytes() == (source / "Pat_1_dwi.nii.gz").read_bytes()
    assert case.mask.read_bytes() == (source / "Pat_1_lesion.nii.gz").read_bytes()
    assert case.images["dwi"].with_name("sub-Pat1_dwi.json").is_file()
    rows = (tmp_path / "out" / "participants.tsv").read_text().splitlines()
    assert rows[:2] == ["participant_id\tsite\tsource", "sub-Pat1\tlab\tPat_1_dwi.nii.gz"]
    said = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert said["GeneratedBy"][0]["Settings"]["reader"] == "folder"
    assert said["SourceDatasets"] == [{"URL": source.resolve().as_uri()}]
    assert not cohort.simulated
    assert not list((tmp_path / "out").glob(".importing*"))


def test_a_case_at_fault_is_left_out_and_imported_once_it_is_fixed(bring, source, tmp_path):
    whole = (source / "Pat_2_dwi.nii.gz").read_bytes()
    (source / "Pat_2_dwi.nii.gz").write_bytes(whole[:600])
    done = bring(source, tmp_path / "out")
    assert done.imported == ("sub-Pat1", "sub-Pat3")
    [(case, reason)] = done.left_out.items()
    assert case == "Pat_2"
    assert f"{source / 'Pat_2_dwi.nii.gz'}: damaged or truncated" in reason
    assert [case.name for case in open_cohort(tmp_path / "out").cases] == ["sub-Pat1", "sub-Pat3"]
    (source / "Pat_2_dwi.nii.gz").write_bytes(whole)
    before = listing(tmp_path / "out" / "sub-Pat1")
    again = bring(source, tmp_path / "out")
    assert (again.imported, again.found, again.left_out) == (("sub-Pat2",), ("sub-Pat1", "sub-Pat3"), {})
    assert listing(tmp_path / "out" / "sub-Pat1") == before


def test_cut_short_it_is_no_cohort_and_goes_on(bring, source, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "close_folder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bring(source, tmp_path / "out")
    with pytest.raises(InputError, match="not a cohort folder"):
        open_cohort(tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "sub-Pat3")  # as if the images had not been moved yet
    done = bring(source, tmp_path / "out")
    assert (done.imported, done.found) == (("sub-Pat3",), ("sub-Pat1", "sub-Pat2"))
    assert len(open_cohort(tmp_path / "out").cases) == 3


def test_label_maps_come_with_their_table_or_not_at_all(phantom, tmp_path):
    done = import_data(phantom, tmp_path / "out")
    cohort = open_cohort(tmp_path / "out")
    assert done.left_out == {}
    assert cohort.table.lesion == 6
    assert all(case.dseg for case in cohort.cases)
    other = shutil.copytree(phantom, tmp_path / "aseg")
    (other / "derivatives" / "truth" / "dseg.tsv").write_text("index\tname\n0\tbackground\n41\twhite\n")
    done = import_data(other, tmp_path / "unlabelled")
    assert "number the labels 0, 1, 2" in done.left_out["label maps"]
    assert "data label" in done.left_out["label maps"]
    assert [case.dseg for case in open_cohort(tmp_path / "unlabelled").cases] == [None] * 3


def test_a_second_import_at_the_same_time_is_refused_and_no_case_is_no_cohort(bring, source, tmp_path):
    out = tmp_path / "out"

    def meanwhile(done, total):
        if done == 0:
            with pytest.raises(InputError, match="another import into it is running"):
                bring(source, out)

    assert len(bring(source, out, meanwhile).imported) == 3
    assert not list(out.glob(".importing*"))
    for path in source.glob("*_dwi.nii.gz"):
        path.write_bytes(b"")
    assert bring(source, tmp_path / "none").imported == ()
    with pytest.raises(InputError, match="not a cohort folder"):
        open_cohort(tmp_path / "none")


@pytest.mark.parametrize(
    ("out", "settings", "fault"),
    [
        ("lab/cohort", {}, "lies in the source"),
        ("full", {}, "is not empty and 'strokereg data import' did not begin it"),
        ("made", {"resample": True}, "made with resample False instead of True"),
        ("lab/Pat_1_dwi.nii.gz/out", {}, "cannot be written|lies in the source"),
    ],
)
def test_a_wrong_place_is_refused(bring, source, tmp_path, out, settings, fault):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    if out == "made":
        bring(source, tmp_path / out)
    with pytest.raises(InputError, match=fault):
        bring(source, tmp_path / out, **settings)
