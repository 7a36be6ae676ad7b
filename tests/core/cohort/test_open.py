"""A folder of any layout is opened by the one reader that recognises it."""

from __future__ import annotations

import shutil

import pytest

from strokereg.core.cohort import open as module
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.open import find_source, read_folder, read_source
from strokereg.core.cohort.split import Split
from strokereg.registry.errors import InputError


def test_a_cohort_opens_as_itself(phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "cohort")
    assert tuple(find_source(root).cases) == open_cohort(root).cases
    Split(("sub-01",), ("sub-02",), ("sub-03",)).write(root / "split_fold-1.tsv")
    assert read_folder(root, fold=1).split == open_cohort(root, 1).split
    with pytest.raises(InputError, match=r"--fold 2: .* has no split_fold-2\.tsv; write the folds with"):
        read_folder(root, fold=2)


def test_a_damaged_split_stops_opening_but_not_listing(phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "cohort")
    (root / "split.tsv").write_text("participant_id\tsplit\nsub-09\ttrain\n")
    assert len(find_source(root).cases) == 3
    with pytest.raises(InputError, match="names sub-09"):
        read_folder(root)


def test_places_that_are_no_folder(tmp_path):
    (tmp_path / "scan.nii.gz").touch()
    for open_any in (find_source, read_source):
        with pytest.raises(InputError, match=r"scan\.nii\.gz: is a file; give"):
            open_any(tmp_path / "scan.nii.gz")
        with pytest.raises(InputError, match="nowhere: no such folder; give"):
            open_any(tmp_path / "nowhere")


def test_an_unknown_layout_lists_the_readers_and_a_known_folder_nearby(phantom, tmp_path):
    shutil.copytree(phantom, tmp_path / "bids")
    for path in (tmp_path / "bids").rglob("dataset_description.json"):
        path.write_text('{"GeneratedBy": [{"Name": "strokereg data import"}]}')
    with pytest.raises(InputError, match=r"no reader knows this layout, but .*bids is .*: give that folder; installed"):
        find_source(tmp_path)
    with pytest.raises(InputError, match=r"installed are: .*isles22"):
        find_source(tmp_path / "bids" / "sub-01" / "dwi")


def test_a_reader_that_returns_something_else_is_named(phantom, monkeypatch):
    class Wrong:
        def recognises(self, root):
            return True

        def read(self, root):
            return []

    monkeypatch.setattr(module, "build_reader", lambda entry, options=None: Wrong())
    with pytest.raises(InputError, match=r"the reader bids .* returns a list instead of a strokereg.Source"):
        read_source(phantom, "bids")
    with pytest.raises(InputError, match=r"could be .* and .*; choose one with --reader"):
        read_source(phantom)


def test_a_reader_that_fails_is_named(phantom, monkeypatch):
    class Broken:
        def recognises(self, root):
            raise KeyError("subject")

    monkeypatch.setattr(module, "build_reader", lambda entry, options=None: Broken())
    with pytest.raises(InputError, match=r"the reader .* failed on .* \(KeyError: 'subject'\); choose another"):
        read_source(phantom)
