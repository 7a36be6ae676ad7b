"""Files are complete or do not exist."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from strokereg.core.storage.files import (
    in_own_folder,
    keep_foreign,
    make_folder,
    own_file,
    parse_json,
    replacing,
    write_json,
    write_text,
)
from strokereg.registry.errors import InputError


def stop_half_way(path):
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise ValueError("half way")


def test_the_file_changes_only_when_all_went_well(tmp_path):
    path = tmp_path / "table.nii.gz"
    path.write_text("before")
    with pytest.raises(ValueError, match="half way"):
        stop_half_way(path)
    assert path.read_text() == "before"
    with replacing(path) as temporary:
        assert temporary.name.endswith(".nii.gz")  # by which nibabel chooses the format
        temporary.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_json_and_text_are_written_and_folders_made(tmp_path):
    folder = make_folder(tmp_path / "a" / "b")
    assert make_folder(folder) == folder
    write_json(folder / "a.json", {"b": [1]})
    write_text(folder / "a.txt", "é\n")
    assert json.loads((folder / "a.json").read_text()) == {"b": [1]}
    assert (folder / "a.txt").read_bytes() == "é\n".encode()
    assert len(list(folder.iterdir())) == 2
    with pytest.raises(InputError, match=r"a\.txt: no folder can be made there .*; choose another --out"):
        make_folder(folder / "a.txt")


def test_a_link_out_of_a_run_folder_is_refused(tmp_path):
    run = make_folder(tmp_path / "run")
    (run / "inside.json").symlink_to(run / "weights")
    (run / "outside.json").symlink_to(tmp_path / "secret")
    assert own_file(run, "inside.json") == run / "inside.json"
    with pytest.raises(InputError, match=r"outside\.json: is a link that leads out of the run folder"):
        own_file(run, "outside.json")


def test_json_that_is_nested_too_deeply_is_no_valid_json():
    assert parse_json('{"a": [1]}') == {"a": [1]}
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000)


def test_files_of_someone_else_are_refused_and_our_own_are_not(tmp_path):
    mine, link = tmp_path / "table.md", tmp_path / "link.csv"
    ours = in_own_folder("study.json", "models", "seeds")
    keep_foreign([mine], ours)
    mine.write_text("notes")
    with pytest.raises(InputError, match=r"table\.md: exists and is not an unchanged output of strokereg; move it, or"):
        keep_foreign([tmp_path / "none", mine], ours)
    for content in ("{", "[]", '{"models": []}'):
        (tmp_path / "study.json").write_text(content)
        assert not ours(mine)
    (tmp_path / "study.json").write_text('{"models": [], "seeds": [0]}')
    keep_foreign([mine], ours)
    link.symlink_to(tmp_path / "unplugged")
    with pytest.raises(InputError, match=r"link\.csv: exists"):
        keep_foreign([link])


def test_two_writers_of_one_file_do_not_share_a_temporary_one(tmp_path):
    path = tmp_path / "a.txt"
    with ThreadPoolExecutor(1) as other, replacing(path) as mine:
        mine.write_text("mine, half")
        other.submit(write_text, path, "theirs").result()
        assert path.read_text() == "theirs"
        mine.write_text("mine, complete")
    assert path.read_text() == "mine, complete"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
