"""The face of the package: lazy public names."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import strokereg
from strokereg import _HOME


@pytest.mark.parametrize("name", strokereg.__all__)
def test_every_public_name_resolves_and_is_documented(name):
    value = getattr(strokereg, name)
    assert name in dir(strokereg)
    if name not in ("__version__", "hookimpl"):
        assert value.__doc__
    if name in _HOME:
        assert value is getattr(importlib.import_module(_HOME[name]), name)


def test_importing_the_package_imports_nothing_of_it():
    code = "import sys, strokereg; print(*[name for name in sys.modules if name.startswith('strokereg.')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = strokereg.trian


@pytest.mark.parametrize("first", ["strokereg.export", "strokereg.export.runtime.segmenter", "strokereg"])
def test_export_is_a_room_and_a_verb(first):
    """Importing the room `strokereg.export` must not shadow the verb `strokereg.export(run)`."""
    code = (
        f"import {first}\nimport strokereg, sys, types\n"
        "run = sys.modules['strokereg.export.run'] = types.ModuleType('strokereg.export.run')\n"
        "run.export = lambda *words, **options: (words, options)\n"
        "assert strokereg.export('run', formats=('onnx',)) == (('run',), {'formats': ('onnx',)})\n"
        "assert strokereg.export is sys.modules['strokereg.export']\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_wheel_stays_small():
    files = [path for path in Path(strokereg.__file__).parent.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < 15_000_000  # before it is compressed
