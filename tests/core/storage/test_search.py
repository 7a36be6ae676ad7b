"""Links are followed by every pattern, and a loop ends."""

from __future__ import annotations

import os

import pytest

from strokereg.core.storage.search import search

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links take a right of their own on Windows")


def names(root, pattern):
    return sorted(path.relative_to(root).as_posix() for path in search(root, pattern))


def test_links_to_folders_and_files_are_followed(tmp_path):
    store, root = tmp_path / "store", tmp_path / "root"
    (store / "deep").mkdir(parents=True)
    (root / "plain").mkdir(parents=True)
    for path in (store / "a.nii", store / "deep" / "b.nii", root / "plain" / "c.nii"):
        path.touch()
    (root / "linked").symlink_to(store)
    (root / "d.nii").symlink_to(store / "a.nii")
    (root / "gone.nii").symlink_to(store / "nowhere.nii")
    assert names(root, "**/*.nii") == ["d.nii", "gone.nii", "linked/a.nii", "linked/deep/b.nii", "plain/c.nii"]
    assert names(root, "linked/**/*.nii") == ["linked/a.nii", "linked/deep/b.nii"]
    assert names(root, "*/*.nii") == ["linked/a.nii", "plain/c.nii"]
    assert names(root, "**/deep/*.nii") == ["linked/deep/b.nii"]


def test_a_loop_ends_and_hidden_folders_stay_closed(tmp_path):
    (tmp_path / "a" / ".git" / "annex").mkdir(parents=True)
    (tmp_path / "a" / ".git" / "annex" / "object.nii").touch()
    (tmp_path / "a" / "scan.nii").symlink_to(tmp_path / "a/.git/annex/object.nii")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert names(tmp_path, "**/*.nii") == ["a/scan.nii"]
