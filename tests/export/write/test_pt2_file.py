"""`.pt2` files hold no pickle, and a file that does is not loaded."""

import io
import zipfile

import pytest
import torch

from strokereg.export.files import read_bundle
from strokereg.export.write.pt2_file import EXTRA, opened, require_plain
from strokereg.registry.errors import InputError


def test_nothing_in_the_file_is_pickled(exported):
    require_plain(exported["pt2"])
    with zipfile.ZipFile(exported["pt2"]) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert any(name.endswith("/extra/strokereg.json") for name in contents)
    for name, content in contents.items():
        assert b"ctorch" not in content, name  # how a pickle names what it would call


def test_a_file_with_pickled_parts_is_refused_before_loading(exported, tmp_path):
    stream = io.BytesIO()
    torch.save((torch.zeros(1),), stream)
    with zipfile.ZipFile(exported["pt2"]) as before, zipfile.ZipFile(tmp_path / "bad.pt2", "w") as after:
        for name in before.namelist():
            sample = name.endswith("sample_inputs/model.pt")
            after.writestr(name, stream.getvalue() if sample else before.read(name))
    with pytest.raises(InputError, match=r"bad\.pt2: holds pickled objects \(data/sample_inputs/model\.pt\)"):
        opened(tmp_path / "bad.pt2")
    asks = tmp_path / "asks.pt2"
    with zipfile.ZipFile(exported["pt2"]) as before, zipfile.ZipFile(asks, "w") as after:
        for name in before.namelist():
            after.writestr(name, before.read(name).replace(b'"use_pickle": false', b'"use_pickle": true'))
    with pytest.raises(InputError, match="which could run code when loaded"):
        opened(asks)


def test_torch_finds_the_metadata_and_every_record_whole(exported):
    found = {EXTRA: ""}
    torch.export.load(exported["pt2"], extra_files=found)
    assert found[EXTRA] == read_bundle(exported["pt2"]).to_json()
    with zipfile.ZipFile(exported["pt2"]) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == len(set(archive.namelist()))


def test_no_archive_at_all(tmp_path):
    (tmp_path / "text.pt2").write_text("no archive")
    with pytest.raises(InputError, match=r"text\.pt2: cannot be opened"):
        read_bundle(tmp_path / "text.pt2")
