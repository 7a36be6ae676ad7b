"""Folders of empty files, as readers see them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def touch(tmp_path) -> Callable[..., Path]:
    """`touch("a/b.nii.gz", "c.json", c_json="{}")`: make files, empty or with a text, and give the folder."""

    def make(*names: str, **texts: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts.get(path.name.replace(".", "_"), ""))
        return tmp_path

    return make
