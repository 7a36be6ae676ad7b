"""A file is whole or not there."""

from __future__ import annotations

import pytest

from strokereg.core.storage.files import replacing


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
