"""What is remembered, and what is looked at again."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from strokereg.core.storage import cache as memo
from strokereg.core.storage.cache import cache_folder, cached, file_digest
from strokereg.registry.errors import InputError


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A file that has rested, and the list of what is read of it."""
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(b"first")
    real, read = memo.sha256_of, []
    monkeypatch.setattr(memo, "sha256_of", lambda p: read.append(p) or real(p))
    now = time.time()
    monkeypatch.setattr(memo.time, "time", lambda: now + 10)
    return path, read


def sha(content):
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once_and_again_when_it_changed(old, tmp_path):
    path, read = old
    assert [file_digest(path, tmp_path / "d") for _ in range(3)] == [sha(b"first")] * 3
    assert len(read) == 1
    status = path.stat()
    path.write_bytes(b"other")  # as long as before, and made to look as old
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_digest(path, tmp_path / "d") == sha(b"other")
    assert len(read) == 2


def test_a_file_that_has_just_changed_is_not_trusted(old, tmp_path, monkeypatch):
    path, _ = old
    monkeypatch.undo()
    file_digest(path, tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_link_to_nowhere_is_one_sentence(tmp_path):
    (tmp_path / "dwi.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    with pytest.raises(InputError, match=r"dwi\.nii\.gz: cannot be read"):
        file_digest(tmp_path / "dwi.nii.gz", tmp_path)


def test_half_a_note_is_made_anew(tmp_path):
    assert cached(tmp_path, "ab" * 20, lambda: [1, 2]) == [1, 2]
    assert cached(tmp_path, "ab" * 20, lambda: [3]) == [1, 2]
    next(tmp_path.rglob("*.json")).write_text("[1,")
    assert cached(tmp_path, "ab" * 20, lambda: [3]) == [3]


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STROKEREG_CACHE", str(tmp_path / "file" / "deep" / "cache"))
    with pytest.raises(InputError, match="cache: the cache cannot be written; set STROKEREG_CACHE to a folder"):
        cache_folder()
    monkeypatch.setenv("STROKEREG_CACHE", str(tmp_path / "new"))
    monkeypatch.setattr(memo.os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(InputError, match="new: the cache cannot be written"):
        cache_folder()


def test_a_user_without_a_home_folder_is_one_sentence(monkeypatch, tmp_path):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("STROKEREG_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(memo.Path, "home", no_home)
    with pytest.raises(InputError, match="this user has no home folder; set STROKEREG_CACHE"):
        cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "strokereg"
