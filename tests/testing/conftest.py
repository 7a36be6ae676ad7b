"""The architectures with planted faults, and suites of checks on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from strokereg.registry.installed import Entry
from strokereg.registry.specs import SPEC_OF_ROLE, Role
from strokereg.testing import Subject, Suite

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(autouse=True)
def faults(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes `acme_faults` importable."""
    monkeypatch.syspath_prepend(FIXTURES)
    return FIXTURES


@pytest.fixture
def suite() -> Callable[..., Suite]:
    """`suite("Sound", role, options, expected, **fields of the spec)`: the checks of a class in `acme_faults`."""

    def make(name, role=Role.TRANSLATOR, options=None, expected=None, **fields):
        spec = SPEC_OF_ROLE[role](name="acme", factory=f"acme_faults:{name}", summary="", **fields)
        return Suite(Subject(Entry(spec, "acme", "1", installed=False), spec.dims[-1], options), expected)

    return make
