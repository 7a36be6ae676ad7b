"""A cohort folder while it is written: who may write to it, and what makes it a cohort."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from strokereg.core.cohort.folder import (
    SIMULATION,
    SYNTHESIS,
    UNFINISHED,
    SideFiles,
    check_settings,
    close_folder,
    describe,
    is_simulated,
    open_folder,
    read_makers,
)
from strokereg.core.cohort.labels import TISSUES
from strokereg.registry.errors import InputError

DESCRIPTION = "dataset_description.json"
MADE = describe("mine", SIMULATION, {"seed": 1, "shape": (2, 3), "labels": {"files": 4}})
FILES = SideFiles({"volume": "in ml"}, [("sub-1", "2.5")], "A test.", Path("derivatives/truth"), TISSUES)


def test_a_new_folder_is_begun_continued_and_complete(tmp_path):
    out = tmp_path / "a" / "b"
    assert not open_folder(out, MADE)
    assert not open_folder(out, MADE)
    assert [path.name for path in out.iterdir()] == [UNFINISHED]
    (out / "derivatives" / "truth").mkdir(parents=True)
    close_folder(out, MADE, FILES)
    assert open_folder(out, MADE)
    assert not (out / UNFINISHED).exists()
    assert (out / "participants.tsv").read_text() == "participant_id\tvolume\nsub-1\t2.5\n"
    assert json.loads((out / "participants.json").read_text()) == {"volume": {"Description": "in ml"}}
    assert (out / "README").read_text() == "A test.\n"
    assert "split*.tsv" in (out / ".bidsignore").read_text()
    assert (out / "derivatives" / "truth" / "dseg.tsv").is_file()
    derived = json.loads((out / "derivatives" / "truth" / DESCRIPTION).read_text())
    assert derived["DatasetType"] == "derivative"
    assert derived["GeneratedBy"][0]["Name"] == SIMULATION


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"seed": 2, "shape": (2, 3), "labels": {"files": 4}}, "was made with seed 1 instead of 2"),
        ({"seed": 1, "shape": (2, 4), "labels": {"files": 4}}, r"shape \[2, 3\] instead of \[2, 4\]"),
        ({"seed": 1, "shape": (2, 3), "labels": "grown"}, "was made with other labels"),
        ({"seed": 1, "shape": (2, 3), "labels": {"files": 5}}, "was made with labels files 4 instead of 5"),
        # A setting that is left out this time differs too.
        ({"shape": (2, 3), "labels": {"files": 4}}, "was made with seed 1 instead of None"),
    ],
)
def test_other_settings_are_refused(tmp_path, settings, fault):
    open_folder(tmp_path / "out", MADE)
    with pytest.raises(InputError, match=f"out: .*{fault}; give a new folder with --out"):
        open_folder(tmp_path / "out", describe("mine", SIMULATION, settings))


def test_another_source_is_another_setting(tmp_path):
    open_folder(tmp_path / "out", MADE | {"SourceDatasets": [{"URL": "file:///a"}]})
    with pytest.raises(InputError, match=r"source \['file:///a'\] instead of None"):
        open_folder(tmp_path / "out", MADE)


def test_folders_of_others_are_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="is not empty and 'strokereg data simulate' did not begin it"):
        open_folder(tmp_path, MADE)
    (tmp_path / DESCRIPTION).write_text('{"Name": "clinic"}')
    with pytest.raises(InputError, match="'strokereg data simulate' did not make; give a new folder"):
        open_folder(tmp_path, MADE)
    (tmp_path / DESCRIPTION).write_text("{")
    with pytest.raises(InputError, match=rf"{DESCRIPTION}: not valid JSON .*; move it away"):
        check_settings(tmp_path / DESCRIPTION, MADE, "move it away")
    with pytest.raises(InputError, match=r"notes\.txt/out: cannot be written"):
        open_folder(tmp_path / "notes.txt" / "out", MADE)


@pytest.mark.parametrize(
    ("makers", "simulated"),
    [
        ([{"Name": SIMULATION}], True),
        ([{"Name": "strokereg data import"}, {"Name": SYNTHESIS}], True),
        ([{"Name": "a scanner"}, "nobody"], False),
        ("nobody", False),
    ],
)
def test_simulated_is_what_the_description_says(tmp_path, makers, simulated):
    assert not is_simulated(tmp_path)
    (tmp_path / DESCRIPTION).write_text(json.dumps({"GeneratedBy": makers}))
    assert is_simulated(tmp_path) is simulated


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_description_that_cannot_be_read_is_one_sentence(tmp_path):
    (tmp_path / DESCRIPTION).touch(mode=0)
    with pytest.raises(InputError, match="cannot be read"):
        read_makers(tmp_path)
