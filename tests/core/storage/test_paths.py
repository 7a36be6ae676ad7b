"""Paths that Windows cannot write, tried by rule on every system."""

from __future__ import annotations

from pathlib import PureWindowsPath

import pytest

from strokereg.core.storage import files, paths
from strokereg.core.storage.files import make_folder, write_text
from strokereg.core.storage.paths import check_path, windows_fault
from strokereg.registry.errors import InputError


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (r"C:\runs\aux", "reserves the name aux"),
        (r"C:\runs\Con.d\x", "reserves the name Con.d"),
        (r"C:\lpt9.nii.gz", "reserves the name lpt9.nii.gz"),
        (r"C:\a\b?.nii", "allows no file named 'b?.nii'"),
        (r"C:\a \b", "allows no file named 'a '"),
        (r"C:\a.\b", "allows no file named 'a.'"),
        ("C:\\" + "\\".join(["folder"] * 40), "has 282 characters, and Windows allows 259"),
    ],
)
def test_paths_that_windows_refuses(path, fault):
    assert fault in windows_fault(PureWindowsPath(path))


@pytest.mark.parametrize(
    "path", [r"C:\runs\sub-con\auxiliary\com10.nii.gz", r"\\server\share\Köln 1\a.b", "C:\\" + "x" * 255]
)
def test_paths_that_windows_takes(path):
    assert windows_fault(PureWindowsPath(path)) == ""


def test_long_paths_can_be_enabled():
    assert windows_fault(PureWindowsPath("C:\\" + "x\\" * 300), long_paths=True) == ""


def test_outputs_are_checked_on_windows_only(tmp_path, monkeypatch):
    check_path(tmp_path / "aux")
    make_folder(tmp_path / "aux")
    monkeypatch.setattr(files, "check_path", lambda path: refuse(path))

    def refuse(path):
        raise InputError(f"{path}: {windows_fault(PureWindowsPath('C:/nul'))}")

    for write in (make_folder, lambda path: write_text(path, "x")):
        with pytest.raises(InputError, match="reserves the name nul; choose another"):
            write(tmp_path / "nul")
    assert not (tmp_path / "nul").exists()
    monkeypatch.undo()

    class Windows:
        name, path = "nt", paths.os.path

    monkeypatch.setattr(paths, "os", Windows)
    with pytest.raises(InputError, match="nul: Windows reserves the name nul"):
        check_path(tmp_path / "nul")
