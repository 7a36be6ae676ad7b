"""Little real plugin distributions, put on sys.path as if they were installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from strokereg.registry.catalogue import Catalogue

PLUGINS = Path(__file__).parents[1] / "fixtures" / "plugins"


@pytest.fixture
def catalogue_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Catalogue]:
    """`catalogue_with("good", "misspelt")`: a fresh catalogue of the built-ins and these distributions."""

    def load(*names: str) -> Catalogue:
        for name in names:
            monkeypatch.syspath_prepend(PLUGINS / name)
        return Catalogue()

    return load
