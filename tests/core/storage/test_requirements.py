"""The pinned environment beside a result."""

from __future__ import annotations

from importlib import metadata

from strokereg.core.storage.requirements import REQUIREMENTS, requirements, write_requirements


def test_every_package_is_pinned_as_it_is_installed(tmp_path):
    write_requirements(tmp_path)
    lines = (tmp_path / REQUIREMENTS).read_text().splitlines()
    assert lines[0].startswith("# Python 3.")
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    for name in ("numpy", "pydantic", "nibabel", "onnx"):
        assert pins[name] == metadata.version(name)
    assert "pip" not in pins
    assert "strokereg" not in pins
    assert len(pins) == len({name.lower() for name in pins})


def test_what_comes_from_a_folder_is_a_comment(tmp_path, monkeypatch):
    for name, extra in (("fetched", None), ("mine", "direct_url.json"), ("strokereg", None)):
        folder = tmp_path / f"{name}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        if extra:
            (folder / extra).write_text('{"url": "file:///mine"}')
    found = list(metadata.distributions(path=[str(tmp_path)]))
    monkeypatch.setattr(metadata, "distributions", lambda: found)
    assert requirements().splitlines()[1:] == [
        "# installed from a file or folder: mine==1.2",
        "# installed from a file or folder: strokereg==1.2",
        "fetched==1.2",
    ]
