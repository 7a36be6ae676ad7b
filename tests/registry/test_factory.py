"""Whoever edits an architecture gets its results anew."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from strokereg.registry.factory import source_key

BASE = "class Base:\n    depth = 1\n"
CLASS = "from base_of_it import Base\nclass It(Base):\n    pass\n"


@pytest.fixture
def key(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def of(base=BASE, text=CLASS):
        (tmp_path / "base_of_it.py").write_text(base)
        (tmp_path / "it.py").write_text(text)
        for name in ("it", "base_of_it"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        spec = importlib.util.spec_from_file_location("it", tmp_path / "it.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["it"] = module
        spec.loader.exec_module(module)
        return source_key(module.It())

    yield of
    for name in ("it", "base_of_it"):
        sys.modules.pop(name, None)


def test_class_and_bases_count(key):
    first = key()
    assert first == key() != ""
    assert first != key(text=CLASS.replace("pass", "wide = 2"))
    assert first != key(base=BASE.replace("1", "2"))


def test_what_has_no_source_has_no_key():
    assert source_key(object()) == ""
    assert source_key(type("Made", (), {"__module__": "builtins"})()) == ""
